"""Sentinels do what they are laid for: under real pytest each must-pass passes, each must-fail fails, every time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


HOST = b"""from collections import Counter


def test_one():
    assert Counter("aab")["a"] == 2


class TestTwo:
    def test_two(self):
        assert not Counter()
"""


def test_sentinels_stand_among_the_hidden_tests(tmp_path: Path) -> None:
    modules = []
    for number in range(6):
        path = f"test_hidden{number}.py"
        modules.append(make_sentinels([f"{path}::test_one"], hidden_files={path: HOST, "test_other.py": HOST}))
        assert modules[-1].path == path
    expected = {name: "PASSED" for module in modules for name in module.must_pass}
    expected |= {name: "FAILED" for module in modules for name in module.must_fail}
    expected |= {f"{module.path}::{name}": "PASSED" for module in modules for name in ("test_one", "TestTwo::test_two")}
    expected |= {mirror: "FAILED" for module in modules for mirror in module.mirrors}
    assert run(tmp_path, modules) == expected
    assert len({module.content.index(b"def test_one") for module in modules} | {0}) > 1


@pytest.mark.parametrize(
    "content",
    [
        b"def broken(:\n",
        b"pytestmark = [1]\n\n\ndef test_one():\n    pass\n",
        b"from x import *\n\n\ndef test_one():\n    pass\n",
        b"from x import sorted\n\n\ndef test_one():\n    pass\n",
        b"if True:\n    sum = max\n\n\ndef test_one():\n    pass\n",
        b"def test_one():\r\n    pass\r\n",
        b"# caf\xe9\ndef test_one():\n    pass\n",
        b"x = 1\n",
        b"",
        None,
    ],
)
def test_a_hidden_file_that_would_bend_them_is_not_used(content: bytes | None) -> None:
    module = make_sentinels(["test_a.py::test_one"], hidden_files={"test_a.py": content})
    assert module.path != "test_a.py"
    compile(module.content, module.path, "exec")


def test_a_module_that_counts_lines_keeps_its_own() -> None:
    host = b"import inspect\n" + HOST
    for _ in range(10):
        module = make_sentinels(["test_a.py::test_one"], hidden_files={"test_a.py": host})
        assert module.content.startswith(host)


MIRRORED = b"""from box import Box, size


def test_number():
    assert size([1, 2]) == 2


def test_text():
    word = str(Box("a"))
    assert word == "a"
    assert word


def test_list_and_more():
    assert list(Box("ab")) == ["a", "b"]
    assert tuple(Box("")) == ()
    assert {**Box("a").counts()} == {"a": 1}


def test_early():
    if size([]) == 0:
        return
    assert size([1]) == 1


def test_fixture(tmp_path):
    assert size([1]) == 1


def test_not_literal():
    assert size([1]) == len([1])
    assert (size([1]) == 1) == True
"""

BOX = """
class Box:
    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def __iter__(self):
        return iter(self.text)

    def counts(self):
        return {letter: self.text.count(letter) for letter in self.text}


def size(things):
    return len(things)
"""

ALWAYS = """
class Always(int):
    __hash__ = int.__hash__

    def __eq__(self, other):
        return True


def size(things):
    return Always()
"""


def mirrored(runs: int, folder: Path, box: str) -> tuple[list[Sentinels], dict[str, str]]:
    (folder / "box.py").write_text(box)
    modules = []
    for number in range(runs):
        path = f"test_box{number}.py"
        like = [f"{path}::{name}" for name in ("test_number", "test_text", "test_list_and_more", "test_early")]
        like += [f"{path}::{name}" for name in ("test_fixture", "test_not_literal")]
        modules.append(make_sentinels(like, hidden_files={path: MIRRORED}))
    return modules, run(folder, modules)


def test_a_mirror_fails_where_its_original_passes(tmp_path: Path) -> None:
    modules, shown = mirrored(10, tmp_path, BOX)
    pairs = {mirror: original for module in modules for mirror, original in module.mirrors.items()}
    assert len(pairs) == 20
    assert {original.partition("::")[2] for original in pairs.values()} == {
        "test_number",
        "test_text",
        "test_list_and_more",
    }
    assert {shown[original] for original in pairs.values()} == {"PASSED"}
    assert {shown[mirror] for mirror in pairs} == {"FAILED"}


def test_a_value_that_equals_everything_passes_the_mirror_too(tmp_path: Path) -> None:
    modules, shown = mirrored(10, tmp_path, BOX + ALWAYS)
    caught = [
        mirror
        for module in modules
        for mirror, original in module.mirrors.items()
        if original.endswith("::test_number") and shown[original] == "PASSED"
    ]
    assert caught
    assert {shown[mirror] for mirror in caught} == {"PASSED"}


def test_without_a_hidden_file_there_are_no_mirrors() -> None:
    assert make_sentinels(HIDDEN).mirrors == {}
