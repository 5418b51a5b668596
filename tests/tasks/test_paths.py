"""One rule for what a path is for."""

import pytest

from tasks.paths import PathKind, path_kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("toolz/itertoolz.py", PathKind.SOURCE),
        ("src/pkg/data.json", PathKind.SOURCE),
        ("README.md", PathKind.SOURCE),
        ("latest.py", PathKind.SOURCE),
        ("contest.py", PathKind.SOURCE),
        ("toolz/tests/test_itertoolz.py", PathKind.TEST),
        ("tests/data/input.json", PathKind.TEST),
        ("test/__init__.py", PathKind.TEST),
        ("pkg/test_a.py", PathKind.TEST),
        ("pkg/a_test.py", PathKind.TEST),
        ("pkg/testdata/expected.json", PathKind.TEST),
        ("fixtures/a.yaml", PathKind.TEST),
        ("conftest.py", PathKind.TEST),
        ("pkg/conftest.py", PathKind.TEST),
        ("pyproject.toml", PathKind.CONFIG),
        ("sub/setup.cfg", PathKind.CONFIG),
        (".github/workflows/x.yml", PathKind.CONFIG),
        ("pkg/__pycache__/a.cpython-311.pyc", PathKind.CONFIG),
        ("pkg.egg-info/RECORD", PathKind.CONFIG),
        ("evil.pth", PathKind.CONFIG),
        ("sitecustomize.py", PathKind.CONFIG),
        ("requirements-dev.txt", PathKind.CONFIG),
    ],
)
def test_kind(path: str, kind: PathKind) -> None:
    assert path_kind(path) is kind
