"""Patches given as text: what git makes of ordinary changes passes, every trick is refused by its own rule."""

import pickle
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockers.crossing import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, check_patch
from blockers.errors import PatchRefusedError
from tasks.errors import BadInputError, PatchError
from tasks.patch import apply_patch, make_patch

BEFORE = {"a/core.py": b"one\ntwo\nthree\nfour\nfive\n", "a/gone.py": b"old\n", "a/with blank.py": b"x\n"}
AFTER = {
    "a/core.py": b"one\n2\nthree\nfour\nfive",
    "a/new.py": b"new\r\nlines\r\n",
    "a/empty.py": b"",
    "a/with blank.py": b"y\n",
}
PATCH = make_patch(BEFORE, AFTER)

PLAIN = """\
diff --git a/a/core.py b/a/core.py
index 1234567..89abcde 100644
--- a/a/core.py
+++ b/a/core.py
@@ -1,3 +1,3 @@ def f():
 one
-two
+2
 three
"""


def rule(patch: str) -> str:
    with pytest.raises(PatchRefusedError) as caught:
        check_patch(patch)
    assert caught.value.rule in str(caught.value)
    return caught.value.rule


def test_what_git_makes_of_ordinary_changes_passes() -> None:
    check_patch(PATCH)
    assert apply_patch(PATCH, BEFORE.get) == {**AFTER, "a/gone.py": None}


@pytest.mark.parametrize("patch", ["", "\n", " \r\n\t\n", PLAIN, PLAIN.rstrip("\n")])
def test_plain_patches_pass(patch: str) -> None:
    check_patch(patch)


def test_crlf_is_content_and_must_apply_exactly() -> None:
    patch = make_patch({"a/core.py": b"one\r\ntwo\r\n"}, {"a/core.py": b"one\r\n2\r\n"})
    check_patch(patch)
    assert apply_patch(patch, {"a/core.py": b"one\r\ntwo\r\n"}.get) == {"a/core.py": b"one\r\n2\r\n"}
    with pytest.raises(PatchError, match="does not apply"):
        apply_patch(patch, {"a/core.py": b"one\ntwo\n"}.get)


HOSTILE = {
    "all lines end in CRLF": ("header", PLAIN.replace("\n", "\r\n")),
    "carriage return in a hunk header": ("hunk", PLAIN.replace("def f():", "def f():\r")),
    "text before the diff": ("header", "From 0123 Mon Sep 17\nSubject: fix\n\n" + PLAIN),
    "text after the diff": ("header", PLAIN + "-- \n2.39.5\n"),
    "no git header": ("header", PLAIN[PLAIN.index("---") :]),
    "binary hunk": (
        "binary",
        "diff --git a/a/x b/a/x\nindex 1234..5678 100644\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n",
    ),
    "binary difference": ("binary", "diff --git a/a/x b/a/x\nBinary files a/a/x and b/a/x differ\n"),
    "symlink": (
        "symlink",
        "diff --git a/a/x b/a/x\nnew file mode 120000\nindex 0000000..1234567\n--- /dev/null\n+++ b/a/x\n"
        "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
    ),
    "symlink retargeted": (
        "symlink",
        "diff --git a/a/x b/a/x\nindex 1234567..89abcde 120000\n--- a/a/x\n+++ b/a/x\n@@ -1 +1 @@\n-y\n+/etc/passwd\n",
    ),
    "submodule": (
        "submodule",
        "diff --git a/a/x b/a/x\nnew file mode 160000\nindex 0000000..1234567\n--- /dev/null\n+++ b/a/x\n"
        "@@ -0,0 +1 @@\n+Subproject commit 1234567\n",
    ),
    "submodule moved": (
        "submodule",
        "diff --git a/a/x b/a/x\nindex 1234567..89abcde 160000\n--- a/a/x\n+++ b/a/x\n"
        "@@ -1 +1 @@\n-Subproject commit 1\n+S\n",
    ),
    "mode change": ("mode", "diff --git a/a/x.py b/a/x.py\nold mode 100644\nnew mode 100755\n"),
    "new executable": ("mode", "diff --git a/a/x.py b/a/x.py\nnew file mode 100755\nindex 0000000..1234567\n"),
    "odd mode": ("mode", "diff --git a/a/x.py b/a/x.py\nnew file mode 104755\n"),
    "file turned symlink": ("symlink", "diff --git a/a/x.py b/a/x.py\ndeleted file mode 120000\n"),
    "rename": (
        "rename",
        "diff --git a/a/x.py b/tests/test_x.py\nsimilarity index 100%\nrename from a/x.py\nrename to tests/test_x.py\n",
    ),
    "rename under one name": (
        "rename",
        "diff --git a/a/x.py b/a/x.py\nrename from a/x.py\nrename to tests/test_x.py\n",
    ),
    "copy": ("rename", "diff --git a/a/x.py b/a/x.py\ncopy from a/x.py\ncopy to conftest.py\n"),
    "similarity": ("rename", "diff --git a/a/x.py b/a/x.py\nsimilarity index 100%\n"),
    "rewrite": ("rename", "diff --git a/a/x.py b/a/x.py\ndissimilarity index 90%\n"),
    "absolute path": ("path", PLAIN.replace("a/a/core.py", "a//etc/cron").replace("b/a/core.py", "b//etc/cron")),
    "path out of the tree": ("path", PLAIN.replace("/a/core.py", "/../core.py")),
    "path through the tree": ("path", PLAIN.replace("/a/core.py", "/a/../../core.py")),
    "git folder": ("path", PLAIN.replace("/a/core.py", "/.git/config")),
    "quoted path": (
        "path",
        PLAIN.replace("diff --git a/a/core.py b/a/core.py", 'diff --git "a/a/c\\157re.py" "b/a/c\\157re.py"'),
    ),
    "half-quoted path": ("path", PLAIN.replace("diff --git a/a/core.py", 'diff --git "a/a/core.py"')),
    "path read in two ways": ("path", PLAIN.replace("/a/core.py", "/x b/tests/test_x.py")),
    "other path in the file header": ("header", PLAIN.replace("+++ b/a/core.py", "+++ b/tests/test_x.py")),
    "other path after a tab": ("header", PLAIN.replace("+++ b/a/core.py", "+++ b/a/core.py\t2026-01-01")),
    "no prefix": ("header", PLAIN.replace("--- a/a/core.py", "--- a/core.py")),
    "deleted by its header only": ("header", PLAIN.replace("+++ b/a/core.py", "+++ /dev/null")),
    "created by its header only": ("header", PLAIN.replace("--- a/a/core.py", "--- /dev/null")),
    "new and deleted": ("header", "diff --git a/a/x.py b/a/x.py\nnew file mode 100644\ndeleted file mode 100644\n"),
    "header without hunks": ("hunk", PLAIN[: PLAIN.index("@@")]),
    "hunk with too few lines": ("hunk", PLAIN.replace("-1,3 +1,3", "-1,4 +1,4")),
    "hunk with too many lines": ("header", PLAIN.replace("-1,3 +1,3", "-1,2 +1,2")),
    "hunk with uneven lines": ("hunk", PLAIN.replace("-1,3 +1,3", "-1,1 +1,3")),
    "hunk count without end": ("hunk", PLAIN.replace("-1,3", "-1," + "9" * 5000)),
    "hunk of nothing": ("hunk", PLAIN[: PLAIN.index("@@")] + "@@ -0,0 +0,0 @@\n"),
    "context line without its blank": ("hunk", PLAIN.replace("\n one\n", "\n\n")),
    "combined diff": ("hunk", PLAIN.replace("@@ -1,3 +1,3 @@", "@@@ -1,3 -1,3 +1,3 @@@").replace("@@@", "@@ @", 1)),
    "test file": ("test", PLAIN.replace("/a/core.py", "/tests/test_core.py")),
    "conftest": ("test", PLAIN.replace("/a/core.py", "/conftest.py")),
    "configuration": ("config", PLAIN.replace("/a/core.py", "/pyproject.toml")),
    "start-up hook": ("config", PLAIN.replace("/a/core.py", "/evil.pth")),
    "shadowing module": ("shadows", PLAIN.replace("/a/core.py", "/json.py")),
    "one file twice": ("collision", PLAIN + PLAIN),
    "one file twice but for case": ("collision", PLAIN + PLAIN.replace("core", "CORE")),
    "not UTF-8": ("not_text", b"caf\xe9 is not UTF-8".decode(errors="surrogateescape")),
    "NUL": ("not_text", PLAIN.replace("+2", "+\0")),
    "too large": ("too_large", "x" * (MAX_TOTAL_BYTES + 1)),
    "file too large": (
        "too_large",
        PLAIN.replace("+1,3", "+1,20").replace("+2\n", ("+" + "x" * (MAX_FILE_BYTES // 16) + "\n") * 18),
    ),
    "too many files": ("too_many", "".join(PLAIN.replace("core", f"c{number}") for number in range(MAX_FILES + 1))),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_trick_is_refused_by_its_rule(trick: str) -> None:
    expected, patch = HOSTILE[trick]
    assert rule(patch) == expected


def test_a_hundred_megabytes_are_refused_unread() -> None:
    assert rule(PLAIN.replace("+1,3", "+1,50000002").replace("+2\n", "+\n" * 50_000_000)) == "too_large"


def test_a_missing_newline_at_the_end_is_content() -> None:
    patch = make_patch({"a/core.py": b"one\ntwo"}, {"a/core.py": b"one\n2"})
    check_patch(patch)
    assert apply_patch(patch, {"a/core.py": b"one\ntwo"}.get) == {"a/core.py": b"one\n2"}
    with pytest.raises(PatchError, match="does not apply"):
        apply_patch(patch, {"a/core.py": b"one\ntwo\n"}.get)


def test_a_module_of_the_project_may_have_any_name() -> None:
    check_patch(PLAIN.replace("/a/core.py", "/json.py"), existing=["json.py"])


def test_the_error_names_line_and_path_and_pickles() -> None:
    with pytest.raises(PatchRefusedError) as caught:
        check_patch(PLAIN + "rubbish\n")
    error = caught.value
    assert isinstance(error, BadInputError)
    assert "line 10 ('rubbish')" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.path, again.rule, str(again)) == (type(error), error.path, error.rule, str(error))


@given(st.text(max_size=300))
def test_any_text_is_decided_cleanly(text: str) -> None:
    try:
        check_patch(text)
    except PatchRefusedError:
        return
    assert not text.strip() or text.startswith("diff --git a/")


LINES = st.sampled_from(
    [
        *PATCH.split("\n"),
        "--- /dev/null",
        "+++ b/tests/test_x.py",
        "rename to conftest.py",
        "new file mode 120000",
        "@@ -1 +1 @@",
        "+x",
        "-one",
        "",
        "\\ No newline at end of file",
        "diff --git a/conftest.py b/conftest.py",
    ]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), LINES), max_size=2))
def test_what_passes_changes_only_the_files_it_was_checked_for(edits: list[tuple[int, bool, str]]) -> None:
    lines = PATCH.split("\n")
    for place, insert, line in edits:
        lines[place : place + (not insert)] = [line]
    patch = "\n".join(lines)
    try:
        check_patch(patch)
        changed = apply_patch(patch, BEFORE.get)
    except PatchError:
        return
    assert set(changed) <= {*BEFORE, *AFTER}


def test_git_itself_changes_nothing_else_by_a_patch_that_passes(tmp_path: Path) -> None:
    for path, content in BEFORE.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    subprocess.run(["git", "apply", "-"], input=PATCH.encode(), cwd=tmp_path, check=True)
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == AFTER
