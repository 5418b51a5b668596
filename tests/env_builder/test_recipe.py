"""Recipes: what a project's own files say about installing and testing it, read and never run."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from env_builder.errors import UnusableRepoError
from env_builder.licence import find_licence
from env_builder.project import read_project
from env_builder.recipe import make_recipes
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.test_layout import read_test_layout
from env_builder.version import find_version, version_of_tag


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def commands(tree: Path, **options: object) -> list[str]:
    request = RepoRequest.model_validate({"source": "x", "name": "x", "python": "3.11", **options})
    recipes = make_recipes(snapshot_of(tree), request, read_test_layout(tree, request))
    return [command for recipe in recipes for command in recipe.commands]


def snapshot_of(tree: Path, when: datetime = datetime(2024, 1, 1, tzinfo=UTC)) -> RepoSnapshot:
    return RepoSnapshot(
        repo="x", source="x", commit="0" * 40, committed_at=when, version="1.0", licence="MIT", tree=tree
    )


def test_extras_groups_and_requirement_files_come_first(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "pyproject.toml": """
[project]
name = "x"
dependencies = ["attrs>=20"]
[project.optional-dependencies]
test = ["mock"]
docs = ["sphinx"]
[dependency-groups]
dev = ["ruff"]
""",
            "requirements-test.txt": "pytest\n",
            "requirements.txt": "attrs\n",
            "tests/test_x.py": "import hypothesis, attrs, unheard_of\ndef test_a(mocker): pass\n",
        },
    )
    assert commands(tmp_path, packages=["numpy<3"]) == [
        "uv pip install -e '.[test]' --group=dev --requirement=requirements-test.txt attrs hypothesis pytest-mock "
        "'numpy<3' pytest",
        "uv pip install -e '.[test]' --group=dev attrs hypothesis pytest-mock 'numpy<3' pytest",
        "uv pip install -e . attrs hypothesis pytest-mock 'numpy<3' pytest",
        "uv pip install --group=dev --requirement=requirements-test.txt attrs hypothesis pytest-mock 'numpy<3' "
        "'attrs>=20' pytest",
        "uv pip install attrs hypothesis pytest-mock 'numpy<3' 'attrs>=20' pytest",
    ]


def test_setup_py_is_read_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    lay(
        tmp_path,
        {
            "setup.py": f"""
import pathlib, setuptools
pathlib.Path({str(ran)!r}).touch()
needed = ["six>=1", "not a requirement !"]
setuptools.setup(name="x", install_requires=needed, extras_require={{"testing": ["mock"]}},
                 tests_require=["pytz"], python_requires=">=3.6", packages=find())
""",
        },
    )
    project = read_project(tmp_path)
    assert not ran.exists()
    assert project.installable
    assert (project.dependencies, project.extras, project.development) == (("six>=1",), ("testing",), ("pytz",))
    assert project.requires_python == ">=3.6"


def test_setup_cfg_and_tox(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "setup.cfg": "[options]\ninstall_requires =\n  six\n  attrs>=19\n[options.extras_require]\ntests = mock\n",
            "tox.ini": "[testenv]\ndeps =\n  pytest\n  flaky>=3\n  -r x.txt\n  py27: old\nextras = tests\n",
            "test_top.py": "",
        },
    )
    assert commands(tmp_path)[0] == "uv pip install -e '.[tests]' pytest 'flaky>=3'"


def test_poetry_pdm_and_hatch(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "pyproject.toml": """
[tool.poetry.dependencies]
python = "^3.9"
attrs = "^22"
extra = {version = "1", optional = true}
[tool.poetry.group.test.dependencies]
pytest-mock = "^3"
[tool.pdm.dev-dependencies]
test = ["trio"]
[tool.hatch.envs.test]
dependencies = ["mock>=5"]
[build-system]
requires = []
"""
        },
    )
    project = read_project(tmp_path)
    assert project.dependencies == ("attrs",)
    assert project.development == ("pytest-mock", "trio", "mock>=5")


@pytest.mark.parametrize("text", ["[project\n", "\x00", "project = 3\n", "[project]\ndependencies = 7\n"])
def test_a_damaged_pyproject_counts_as_absent(tmp_path: Path, text: str) -> None:
    lay(tmp_path, {"pyproject.toml": text, "setup.py": "setup(", "setup.cfg": "nothing", "tox.ini": "[x"})
    assert read_project(tmp_path).dependencies == ()
    assert commands(tmp_path)[-1] == "uv pip install pytest"


def test_packages_are_those_of_the_commits_day_but_not_older_than_the_interpreter(tmp_path: Path) -> None:
    request = RepoRequest(source="x", name="x", python="3.11")
    layout = read_test_layout(tmp_path, request)
    for when, expected in (
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)),
        (datetime(2015, 1, 1, tzinfo=UTC), datetime(2022, 10, 24, tzinfo=UTC)),
    ):
        (recipe, *_) = make_recipes(snapshot_of(tmp_path, when), request, layout)
        assert recipe.exclude_newer == expected


def test_an_interpreter_that_does_not_fit(tmp_path: Path) -> None:
    lay(tmp_path, {"pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.12"\n'})
    with pytest.raises(UnusableRepoError, match=r"needs Python >=3\.12.*built with 3\.11") as caught:
        commands(tmp_path)
    assert caught.value.reason == "python_unsupported"
    assert commands(tmp_path, python="3.12")


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"tests/test_a.py": "", "pkg/tests/test_b.py": ""}, ("tests",)),
        ({"pkg/tests/test_b.py": "", "other/b_test.py": ""}, ("other", "pkg")),
        ({"test_a.py": ""}, ("test_a.py",)),
        ({"pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["pkg"]\n', "pkg/test_b.py": ""}, ("pkg",)),
        ({"pytest.ini": "[pytest]\ntestpaths = a b\n", "a/test_b.py": "", "tests/test_c.py": ""}, ("a",)),
        ({"setup.cfg": "[tool:pytest]\ntestpaths = ../up a\n", "a/test_b.py": ""}, ("a",)),
        ({"pkg/mod.py": ""}, ()),
    ],
)
def test_where_the_tests_are(tmp_path: Path, files: dict[str, str], paths: tuple[str, ...]) -> None:
    layout = read_test_layout(lay(tmp_path, files), RepoRequest(source="x", name="x"))
    assert layout.paths == paths
    assert bool(layout.files) == bool(paths)


def test_a_test_command_is_taken_apart(tmp_path: Path) -> None:
    lay(tmp_path, {"a/test_b.py": "", "tests/test_c.py": ""})
    request = RepoRequest(source="x", name="x", test_command="FAST=1 python -m pytest -k 'not slow' a")
    layout = read_test_layout(tmp_path, request)
    assert layout.paths == ("a",)
    assert layout.variables == {"FAST": "1", "PYTEST_ADDOPTS": "-k 'not slow'"}


def test_only_options_that_choose_tests_are_kept(tmp_path: Path) -> None:
    options = "addopts = --cov=x -n auto -m 'not slow' --import-mode=importlib -q"
    lay(tmp_path, {"pytest.ini": f"[pytest]\n{options}\n", "test_a.py": ""})
    layout = read_test_layout(tmp_path, RepoRequest(source="x", name="x"))
    assert layout.variables == {"PYTEST_ADDOPTS": "-m 'not slow' --import-mode=importlib"}


MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
BSD3 = "Redistribution and use in source and binary forms, with or without\nmodification ... Neither the name of"


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"pyproject.toml": '[project]\nlicense = "mit OR apache-2.0"\n'}, "MIT OR Apache-2.0"),
        ({"PKG-INFO": "Name: x\nLicense-Expression: BSD-3-Clause\n"}, "BSD-3-Clause"),
        ({"LICENSE": MIT, "pyproject.toml": '[project]\nlicense = {file = "LICENSE"}\n'}, "MIT"),
        ({"COPYING.txt": BSD3, "setup.cfg": "[metadata]\nlicense = BSD License\n"}, "BSD-3-Clause"),
        ({"PKG-INFO": "Name: x\nClassifier: License :: OSI Approved :: Apache Software License\n"}, "Apache-2.0"),
        ({"setup.cfg": "[metadata]\nlicense = Our own words\n"}, "Our own words"),
        ({"setup.py": ""}, "unknown"),
        ({"pyproject.toml": "[project]\nlicense = 3\n", "LICENSE": "no known words"}, "unknown"),
    ],
)
def test_licences(tmp_path: Path, files: dict[str, str], licence: str) -> None:
    assert find_licence(lay(tmp_path, files)) == licence


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v1.2", "1.2"),
        ("toolz-0.9.0", "0.9.0"),
        ("release/3.1rc1", "3.1rc1"),
        ("7", "7"),
        ("nightly", None),
        ("", None),
    ],
)
def test_versions_of_tags(tag: str, version: str | None) -> None:
    assert version_of_tag(tag) == version


def test_versions_of_trees(tmp_path: Path) -> None:
    assert find_version(tmp_path) == "0.0.0"
    lay(tmp_path, {"pyproject.toml": '[project]\nversion = "2.0.dev1"\n'})
    assert find_version(tmp_path) == "2.0.dev1"
    lay(tmp_path, {"PKG-INFO": "Version: 3.1\n"})
    assert find_version(tmp_path) == "3.1"
