"""What crosses to the grader: each rule, and the property that any changes give a clean decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockers.crossing import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, LeftOut, crossing
from blockers.path_rules import MAX_PATH_BYTES, Reason
from tasks.paths import PathKind, path_kind


def reasons(changes: dict[str, bytes | None], **more: list[str]) -> dict[str, Reason]:
    return dict(crossing(changes, **more).left_out)


def test_source_text_and_deletions_cross_as_they_are() -> None:
    changes = {
        "toolz/core.py": b"x = 1\n",
        "toolz/data.json": b"{}",
        "toolz/empty.py": b"",
        "toolz/crlf.py": b"x = 1\r\n",
        "toolz/caf\u00e9.py": "caf\u00e9 = '\U0001f600'".encode(),
        "toolz/with blank.py": b"no newline at end",
        "toolz/gone.py": None,
    }
    assert crossing(changes) == (changes, ())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//x.py",
        "../x.py",
        "a/../../x.py",
        "a/./x.py",
        "./x.py",
        "a//x.py",
        "a/",
        ".",
        "..",
        "a/b\n.py",
        "a/b\0.py",
        "a/\x7f.py",
        "a/\u202egpj.py",
        "a/\u200b.py",
        "a/\u2028.py",
        "a/\udcff.py",
        "a\\b.py",
        "a/ b.py ",
        " a/b.py",
        "a/.git/config",
        "a/.GIT/hooks/x",
        "git~1/config",
        "a" * 256 + ".py",
        "/".join(["abc"] * (MAX_PATH_BYTES // 4 + 1)),
    ],
)
def test_a_path_that_is_not_plain_is_left_out(path: str) -> None:
    expected = Reason.PATH
    assert reasons({path: b"x"}) == {path: expected}
    assert reasons({path: None}) == {path: expected}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests/test_core.py", Reason.TEST),
        ("toolz/tests/data.json", Reason.TEST),
        ("conftest.py", Reason.TEST),
        ("conftest.py/module.py", Reason.TEST),
        ("pyproject.toml/module.py", Reason.CONFIG),
        ("sub/setup.cfg/deep/module.py", Reason.CONFIG),
        ("toolz/conftest.py", Reason.TEST),
        ("pyproject.toml", Reason.CONFIG),
        ("pytest.ini", Reason.CONFIG),
        ("sub/tox.ini", Reason.CONFIG),
        ("setup.py", Reason.CONFIG),
        ("Makefile", Reason.CONFIG),
        ("toolz.pth", Reason.CONFIG),
        (".github/workflows/ci.yml", Reason.CONFIG),
        (".env", Reason.CONFIG),
        ("toolz.egg-info/entry_points.txt", Reason.CONFIG),
        ("toolz-1.dist-info/RECORD", Reason.CONFIG),
        ("toolz/__pycache__/core.cpython-311.pyc", Reason.CONFIG),
        ("toolz/core.pyc", Reason.CONFIG),
        ("toolz/core.so", Reason.CONFIG),
        ("requirements.txt", Reason.CONFIG),
        ("sitecustomize.py", Reason.CONFIG),
    ],
)
def test_tests_and_configuration_are_left_out(path: str, reason: Reason) -> None:
    assert reasons({path: b"x = 1\n", "toolz/core.py": b""}) == {path: reason}
    assert reasons({path: None}) == {path: reason}


@pytest.mark.parametrize(
    "path",
    [
        "json.py",
        "json/__init__.py",
        "src/json.py",
        "lib/random.py",
        "os.py",
        "pytest.py",
        "_pytest/__init__.py",
        "_pytest/runner.py",
        "pluggy/__init__.py",
        "src/iniconfig.py",
        "xdist/plugin.py",
        "coverage.py",
        "__init__.py",
        "__main__.py",
    ],
)
def test_a_new_module_that_shadows_is_left_out(path: str) -> None:
    assert reasons({path: b"x = 1\n"}) == {path: Reason.SHADOWS}


@pytest.mark.parametrize("path", ["toolz/json.py", "toolz/pytest/core.py", "docs/json.md", "json.txt", "jsonish.py"])
def test_a_name_that_is_not_at_an_import_root_shadows_nothing(path: str) -> None:
    assert reasons({path: b"x = 1\n"}) == {}


def test_a_module_that_the_project_owns_shadows_nothing_anew() -> None:
    existing = ["src/_pytest/runner.py", "attr/__init__.py"]
    assert reasons({"src/_pytest/new.py": b"", "attr/__init__.py": b""}, existing=existing) == {}
    assert reasons({"code/__init__.py": b""}, existing=["code/listing.txt"]) == {"code/__init__.py": Reason.SHADOWS}
    assert reasons({"src/json.py": b""}, existing=existing) == {"src/json.py": Reason.SHADOWS}


@pytest.mark.parametrize("content", [b"\xff", b"caf\xe9", b"a\0b", b"\xed\xa0\x80", b"\x7fELF\x02\x01\0"])
def test_content_that_is_not_text_is_left_out(content: bytes) -> None:
    assert reasons({"toolz/core.py": content}) == {"toolz/core.py": Reason.NOT_TEXT}


def test_a_file_over_the_limit_is_left_out() -> None:
    changes = {"a/large.py": b"#" * (MAX_FILE_BYTES + 1), "a/just.py": b"#" * MAX_FILE_BYTES}
    assert reasons(changes) == {"a/large.py": Reason.TOO_LARGE}


def test_code_crosses_before_a_heap_of_data() -> None:
    heap = {f"a/{number:03}.txt": b"#" * MAX_FILE_BYTES for number in range(10)}
    crossed = crossing({**heap, "z/fix.py": b"x = 1\n"})
    assert "z/fix.py" in crossed.files
    assert sum(len(content or b"") for content in crossed.files.values()) <= MAX_TOTAL_BYTES
    assert {left.reason for left in crossed.left_out} == {Reason.TOO_MANY}


def test_only_so_many_files_cross() -> None:
    many: dict[str, bytes | None] = {f"a/{number}.txt": None for number in range(MAX_FILES + 3)}
    crossed = crossing({**many, "z/fix.py": b""})
    assert len(crossed.files) == MAX_FILES
    assert "z/fix.py" in crossed.files
    assert [left.reason for left in crossed.left_out] == [Reason.TOO_MANY] * 4


@pytest.mark.parametrize(
    "paths",
    [
        ("toolz/Core.py", "toolz/core.py"),
        ("toolz/stra\u00dfe.py", "toolz/STRASSE.py"),
        ("toolz/caf\u00e9.py", "toolz/cafe\u0301.py"),
        ("toolz/core", "toolz/core/x.py"),
        ("toolz/CORE", "toolz/core/x.py"),
    ],
)
def test_files_that_collide_are_left_out(paths: tuple[str, str]) -> None:
    assert reasons(dict.fromkeys(paths, b"")) == dict.fromkeys(paths, Reason.COLLISION)


def test_a_rename_by_case_and_a_file_turned_folder_do_not_collide() -> None:
    changes = {
        "a/Core.py": None,
        "a/core.py": b"",
        "a/mod": None,
        "a/mod/x.py": b"",
        "b/pack": b"",
        "b/pack/y.py": None,
    }
    assert crossing(changes) == (changes, ())


def test_left_out_is_sorted_and_named() -> None:
    assert crossing({"z.pth": b"", "a.pth": b""}).left_out == (
        LeftOut("a.pth", Reason.CONFIG),
        LeftOut("z.pth", Reason.CONFIG),
    )


PATHS = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(["a", "A", "..", ".", "", ".git", "json.py", "tests", "x.py", "\udc80", "e\u0301", "\u00e9"])
    ).map("/".join),
)


@given(st.dictionaries(PATHS, st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=20).map(str.encode))))
def test_any_changes_give_a_clean_decision(changes: dict[str, bytes | None]) -> None:
    crossed = crossing(changes)
    left = {item.path for item in crossed.left_out}
    assert crossed.files.keys() | left == changes.keys()
    assert not crossed.files.keys() & left
    for path, content in crossed.files.items():
        assert content == changes[path]
        assert content is None or b"\0" not in content
        assert (content or b"").decode() is not None
        assert not path.startswith("/")
        assert not {"", ".", "..", ".git"} & set(path.split("/"))
        assert path_kind(path) is PathKind.SOURCE
    assert crossing(crossed.files) == (crossed.files, ())
