"""Sentinels do what they are laid for: under real pytest each must-pass passes, each must-fail fails, every time."""

import os
import subprocess
import sys
from pathlib import Path

from blockers.sentinels import Sentinels, make_sentinels
from tasks.paths import PathKind, path_kind

HIDDEN = (
    "toolz/tests/test_itertoolz.py::test_partition[a/b::c]",
    "toolz/tests/test_dicttoolz.py::TestDict::test_merge",
)


def run(folder: Path, modules: list[Sentinels], *, conftest: str = "") -> dict[str, str]:
    for module in modules:
        (folder / module.path).write_bytes(module.content)
    (folder / "conftest.py").write_text(conftest)
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", "-rA", "-q", "-p", "no:cacheprovider"]
    variables = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    words = (line.split() for line in done.stdout.splitlines())
    return {word[1]: word[0] for word in words if len(word) > 1 and word[0] in ("PASSED", "FAILED", "ERROR")}


def test_each_sentinel_does_what_it_must(tmp_path: Path) -> None:
    modules = [make_sentinels(like=HIDDEN) for _ in range(12)]
    expected = {name: "PASSED" for module in modules for name in module.must_pass}
    expected |= {name: "FAILED" for module in modules for name in module.must_fail}
    assert run(tmp_path, modules) == expected


def test_a_runner_that_passes_everything_is_caught(tmp_path: Path) -> None:
    hook = "def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n"
    module = make_sentinels()
    shown = run(tmp_path, [module], conftest=hook)
    assert {shown[name] for name in module.must_fail} == {"PASSED"}


def test_nothing_in_a_module_repeats() -> None:
    modules = [make_sentinels() for _ in range(200)]
    ids = [name for module in modules for name in (*module.must_pass, *module.must_fail)]
    assert len({module.path for module in modules}) > 195
    assert len(set(ids)) == len(ids)
    assert len({module.content for module in modules}) == len(modules)


def test_number_order_and_kind_vary() -> None:
    modules = [make_sentinels() for _ in range(60)]
    assert {len(module.must_pass) for module in modules} == {2, 3}
    assert {len(module.must_fail) for module in modules} == {2, 3}
    first = {module.content.split(b"def ")[1].split(b"(")[0].decode() in str(module.must_fail) for module in modules}
    assert first == {True, False}


def test_it_looks_like_an_ordinary_test_file() -> None:
    module = make_sentinels()
    assert path_kind(module.path) is PathKind.TEST
    assert "/" not in module.path
    assert b"sentinel" not in module.content


def test_names_borrowed_from_hidden_tests_must_fail() -> None:
    for _ in range(20):
        module = make_sentinels(like=HIDDEN)
        names = {name.split("::")[1] for name in module.must_fail}
        assert {"test_partition", "test_merge"} <= names
        compile(module.content, module.path, "exec")


def test_names_that_are_no_identifiers_are_not_borrowed() -> None:
    module = make_sentinels(like=["README.rst::README.rst", "tests/x.yaml::case 1", "", "a.py::test_[x"])
    compile(module.content, module.path, "exec")
