"""Every kind of leak planted in a small project is found; the clean project, and what looks like a leak, is not."""

import gzip
import html
import io
import json
import os
import py_compile
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from blockers.findings import Finding
from blockers.leak_audit import LeakIndex, audit_leaks
from tasks.errors import BadInputError, PatchError
from tests.blockers import widgets
from tests.blockers.widgets import Project, write

STATEMENT = (
    "`spread('abc', 2)` gives ['b'], expected ['a', 'c']; `merge_ranges` should cope with a range inside another."
)


def audit(project: Project, statement: str = STATEMENT, newest: Path | None = None) -> list[Finding]:
    return audit_leaks(
        gold_patch=project.gold_patch,
        setup_patch=project.setup_patch,
        statement=statement,
        hidden_files=project.hidden_files,
        failing=project.failing,
        roots=project.roots,
        newest=newest,
    )


@pytest.fixture(params=["history", "procedural"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    made: Project = getattr(widgets, request.param)(tmp_path)
    return made


@pytest.fixture
def mined(tmp_path: Path) -> Project:
    return widgets.history(tmp_path)


def compiled(content: bytes, target: Path, scratch: Path) -> None:
    source = write(scratch / "compiled/source.py", content)
    target.parent.mkdir(parents=True, exist_ok=True)
    py_compile.compile(str(source), str(target), dfile="/build/source.py", doraise=True)


def zipped(content: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("widgets/core.py", content)
    return raw.getvalue()


def tarred(content: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        info = tarfile.TarInfo("widgets-2.0/src/widgets/core.py")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def highlighted(content: bytes) -> str:
    lines = (f'<span class="k">{html.escape(line)}</span>' for line in content.decode().splitlines())
    return "<html><pre>\n" + "\n".join(lines) + "\n</pre></html>"


def notebook(content: bytes) -> str:
    source = content.decode().splitlines(keepends=True)
    return json.dumps({"cells": [{"cell_type": "code", "source": source}]}, indent=1)


def helper(content: bytes) -> str:
    """The function that was mended, alone."""
    text = content.decode()
    return text[text.index("def spread") : text.index("def merge_ranges")]


EVERYWHERE: dict[str, tuple[str, Callable[[Project, Path], object]]] = {
    "an installed copy": ("installed-copy", lambda p, _: write(p.packages / "widgets/core.py", p.solution)),
    "a vendored copy": ("installed-copy", lambda p, _: write(p.packages / "tool/_vendor/widgets/core.py", p.solution)),
    "a build folder": ("installed-copy", lambda p, _: write(p.tree / "build/lib/widgets/core.py", p.solution)),
    "a wheel": ("installed-copy", lambda p, _: write(p.packages / "cache/widgets-2.0.whl", zipped(p.solution))),
    "a wheel without its name": (
        "installed-copy",
        lambda p, _: write(p.packages / "cache/4f/a1.body", zipped(p.solution)),
    ),
    "a source archive": ("installed-copy", lambda p, _: write(p.tree / "dist/widgets-2.0.tar.gz", tarred(p.solution))),
    "a renamed copy": ("gold-lines", lambda p, _: write(p.packages / "other/_ranges.py", p.solution)),
    "a function alone": ("gold-lines", lambda p, _: write(p.tree / "notes/solved.py", p.solution)),
    "a compressed copy": ("gold-lines", lambda p, _: write(p.tree / "old/core.gz", gzip.compress(p.solution))),
    "a backup": ("gold-lines", lambda p, _: write(p.tree / "widgets/core.py.orig", p.solution)),
    "the fix as a diff": ("gold-lines", lambda p, _: write(p.tree / "fix.patch", p.gold_patch)),
    "a built page": ("gold-lines", lambda p, _: write(p.tree / "docs/_modules/core.html", highlighted(p.solution))),
    "a notebook": ("gold-lines", lambda p, _: write(p.tree / "docs/tour.ipynb", notebook(p.solution))),
    "commented out": ("gold-lines", lambda p, _: write(p.tree / "NOTES", p.solution.replace(b"\n", b"\n# "))),
    "a quoted answer": ("gold-lines", lambda p, _: write(p.tree / "MAIL.txt", p.solution.replace(b"\n", b"\n> "))),
    "strings of a binary": ("gold-lines", lambda p, _: write(p.packages / "other/core.bin", b"\0\1" + p.solution)),
    "bytecode of another version": (
        "bytecode",
        lambda p, t: compiled(p.solution, p.tree / "widgets/__pycache__/core.cpython-311.pyc", t),
    ),
    "bytecode without source": (
        "bytecode",
        lambda p, t: compiled(p.solution, p.packages / "widgets/__pycache__/core.cpython-311.pyc", t),
    ),
    "an installer's list": (
        "record",
        lambda p, _: write(p.packages / "widgets-1.0.dist-info/RECORD", "widgets/core.py,sha256=abc,900\n"),
    ),
    "the origin of an install": (
        "direct-url",
        lambda p, _: write(
            p.packages / "widgets-1.0.dist-info/direct_url.json",
            '{"url": "https://example.org/widgets", "vcs_info": {"vcs": "git", "commit_id": "0123"}}',
        ),
    ),
    "a repository": ("repository", lambda p, _: write(p.packages / "widgets_src/.git/HEAD", "ref: refs/heads/main\n")),
    "installed tests": (
        "hidden-test",
        lambda p, _: write(p.packages / "widgets/tests/test_core.py", p.hidden_files[widgets.TEST_PATH] or b""),
    ),
    "tests under another name": (
        "hidden-test",
        lambda p, _: write(p.tree / "checks/ranges.txt", p.hidden_files[widgets.TEST_PATH] or b""),
    ),
}

MINED: dict[str, tuple[str, Callable[[Project, Path], object]]] = {
    "a line in the changelog": (
        "gold-line",
        lambda p, _: write(p.tree / "CHANGELOG.md", "- 1.1: `return max(merged[-1][1], high)`\n- 1.0: first\n"),
    ),
    "a line in package data": (
        "gold-line",
        lambda p, _: write(p.packages / "other/hint.txt", "try\n    return max(merged[-1][1], high)\n"),
    ),
    "a name in a type checker's cache": (
        "gold-name",
        lambda p, _: write(p.tree / ".mypy_cache/3.11/core.data.json", '{"names": {"_furthest_edge_of": 1}}'),
    ),
    "a public name in a cache": (
        "gold-name",
        lambda p, _: write(p.tree / ".mypy_cache/3.11/edges.data.json", '{"names": {"widen_edges": 1}}'),
    ),
    "a tags file": ("gold-name", lambda p, _: write(p.tree / "tags", "_furthest_edge_of\tcore.py\t/^def/;\n")),
    "a stub": ("gold-name", lambda p, _: write(p.packages / "w/core.pyi", "def _furthest_edge_of(m, high): ...\n")),
    "bytecode under another name": (
        "gold-name",
        lambda p, t: compiled(p.solution, p.packages / "cache/7d93.pyc", t),
    ),
    "a list of the new version's files": (
        "gold-path",
        lambda p, _: write(p.tree / "widgets.egg-info/SOURCES.txt", "setup.py\nwidgets/core.py\nwidgets/edges.py\n"),
    ),
    "compiled tests": (
        "hidden-test",
        lambda p, t: compiled(widgets.TESTS_AFTER.encode(), p.tree / "__pycache__/checks.cpython-311.pyc", t),
    ),
    "a new module": ("installed-copy", lambda p, _: write(p.packages / "widgets/edges.py", widgets.EDGES)),
}


def test_a_clean_task_has_no_findings(project: Project) -> None:
    assert audit(project) == []


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_a_planted_leak_is_found(project: Project, kind: str, tmp_path: Path) -> None:
    vector, plant = EVERYWHERE[kind]
    plant(project, tmp_path)
    assert vector in {finding.vector for finding in audit(project)}


@pytest.mark.parametrize("kind", MINED)
def test_a_planted_leak_of_a_larger_change_is_found(mined: Project, kind: str, tmp_path: Path) -> None:
    vector, plant = MINED[kind]
    plant(mined, tmp_path)
    assert vector in {finding.vector for finding in audit(mined)}


LATER = """\
def _joined_with_the_last(merged, low, high, gap):
    last_low, last_high = merged.pop()
    return [*merged, (last_low, max(last_high, high))] if low - last_high <= gap else [*merged, (low, high)]


def merge_ranges(ranges, gap=0):
    merged = []
    for low, high in sorted(map(sorted, ranges)):
        merged = _joined_with_the_last(merged, low, high, gap) if merged else [(low, high)]
    return merged
"""


@pytest.fixture
def newest(tmp_path: Path) -> Path:
    """A release in which the solution's own lines have gone again."""
    return write(tmp_path / "newest" / widgets.CORE, LATER).parents[1]


@pytest.mark.parametrize("path", ["widgets/core.py", "kit/_vendor/widgets/core.py", "other/ranges.py", "notes.txt"])
def test_a_copy_of_a_later_release_is_found(project: Project, newest: Path, path: str) -> None:
    place = write(project.packages / path, LATER)
    found = {(finding.vector, finding.where) for finding in audit(project, newest=newest)}
    assert ("newer-release", f"venv:{place.relative_to(project.roots['venv'])}") in found
    assert "newer-release" not in {finding.vector for finding in audit(project)}


def test_a_later_release_alone_is_no_finding(project: Project, newest: Path) -> None:
    assert audit(project, newest=newest) == []
    part = "\n".join(LATER.splitlines()[:3])
    write(project.packages / "other/ranges.py", part)  # too little to be a copy
    assert audit(project, newest=newest) == []


def test_what_a_later_release_only_moved_is_no_finding(project: Project, newest: Path) -> None:
    write(project.tree / "widgets/joined.py", LATER)
    assert audit(project, newest=newest) == []


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ("statement-line", "Mend it by `return max(merged[-1][1], high)`."),
        ("statement-line", "Mend it by\n\n    return max(merged[-1][1],\n        high)\n"),
        ("statement-name", "It lacks a function _furthest_edge_of."),
        ("statement-test", "Make test_merge_ranges_with_one_inside_another pass."),
        ("statement-test", "See tests/test_core.py for what is expected."),
        ("statement-link", "Discussed in https://example.org/widgets/pull/17."),
        ("statement-link", "Mended in 0123456789abcdef0123456789abcdef01234567."),
    ],
)
def test_a_statement_that_tells_is_found(mined: Project, vector: str, sentence: str) -> None:
    assert {finding.vector for finding in audit(mined, f"{STATEMENT}\n{sentence}")} == {vector}


def test_a_statement_may_name_what_the_hidden_tests_import(mined: Project) -> None:
    assert audit(mined, STATEMENT + " There should be a function widen_edges in widgets/edges.py.") == []


def test_hidden_tests_left_in_the_start_state_are_found(project: Project) -> None:
    write(project.tree / widgets.TEST_PATH, project.hidden_files[widgets.TEST_PATH] or b"")
    left = project._replace(setup_patch=_source_part(project.setup_patch))
    assert ("hidden-test", f"start:{widgets.TEST_PATH}") in {(found.vector, found.where) for found in audit(left)}


def test_an_earlier_version_of_the_hidden_tests_may_be_seen(mined: Project) -> None:
    seen = mined._replace(setup_patch="")
    assert audit(seen) == []
    write(mined.packages / "widgets/tests/test_core.py", widgets.TESTS_AFTER)
    assert {finding.vector for finding in audit(seen)} == {"hidden-test"}


def test_tests_that_moved_may_be_seen_where_they_were(mined: Project) -> None:
    # The file of before is renamed and gets one more test, as the hidden tests have it.
    moved = mined._replace(
        setup_patch="",
        hidden_files={widgets.TEST_PATH: None, "tests/test_ranges.py": widgets.TESTS_AFTER.encode()},
        failing=("tests/test_ranges.py::test_widen_edges_turns_pairs_round",),
    )
    assert audit(moved) == []
    write(mined.packages / "widgets/tests/test_ranges.py", widgets.TESTS_AFTER)
    assert {finding.where for finding in audit(moved)} == {
        "venv:lib/python3.11/site-packages/widgets/tests/test_ranges.py"
    }


def test_a_test_file_that_only_moved_may_be_seen_where_it_was(mined: Project) -> None:
    moved = mined._replace(
        setup_patch="",
        hidden_files={widgets.TEST_PATH: None, "widgets/tests/test_core.py": widgets.TESTS_BEFORE.encode()},
        failing=(),
    )
    assert audit(moved) == []


def test_tests_of_the_start_repeat_others_by_right_but_not_a_failing_one(mined: Project) -> None:
    # A hidden file is split off one that stays as it is and is not hidden.
    split = mined._replace(
        setup_patch="",
        hidden_files={"tests/test_ranges.py": widgets.TESTS_AFTER.encode()},
        failing=("tests/test_ranges.py::test_widen_edges_turns_pairs_round",),
    )
    assert audit(split) == []
    write(
        mined.tree / "tests/test_more.py", "import pytest\n" + widgets.TESTS_AFTER.partition("\n\n\ndef test_spread")[2]
    )
    assert {finding.where for finding in audit(split)} == {"tree:tests/test_more.py"}
    (mined.tree / "tests/test_more.py").unlink()
    write(mined.tree / "docs/ranges.txt", widgets.TESTS_AFTER)
    assert {finding.where for finding in audit(split)} == {"tree:docs/ranges.txt"}


def test_a_name_in_a_stub_of_the_start_is_not_new(mined: Project) -> None:
    write(mined.tree / "widgets/core.pyi", "def _furthest_edge_of(merged, high): ...\n")
    assert audit(mined) == []


def _source_part(patch: str) -> str:
    parts = patch.split("diff --git ")
    return "".join("diff --git " + part for part in parts if part and "tests/" not in part)


def test_a_finding_names_file_and_line(mined: Project) -> None:
    write(mined.tree / "docs/hints.txt", "nothing\nhere\n  return max(merged[-1][1], high)\n")
    (finding,) = audit(mined)
    assert (finding.vector, finding.where, finding.line) == ("gold-line", "tree:docs/hints.txt", 3)
    assert "tree:docs/hints.txt:3" in str(finding)


def test_the_version_before_is_no_leak_wherever_it_stands(mined: Project) -> None:
    for path in (mined.packages / "tool/_vendor/widgets/core.py", mined.tree / "old/core.txt"):
        write(path, widgets.BEFORE)
    assert audit(mined) == []


def test_bytecode_of_a_clean_source_beside_it_is_no_leak(mined: Project) -> None:
    source = write(mined.packages / "tool/_vendor/widgets/core.py", widgets.BEFORE)
    by_time = py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    assert audit(mined) == []
    os.utime(source, (1, 1))
    assert {found.vector for found in audit(mined)} == {"bytecode"}
    Path(by_time).unlink()
    py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert audit(mined) == []


def test_what_python_source_has_by_right_is_no_leak(mined: Project) -> None:
    write(
        mined.packages / "other/tools.py",
        "def last(merged, high):\n    return max(merged[-1][1], high)\n" + "x = 1\n" * 90,
    )
    write(mined.packages / "other/README.md", "    return max(merged[-1][1], high)\n")
    assert audit(mined) == []


def test_a_licence_in_a_new_file_is_no_leak(tmp_path: Path) -> None:
    project = widgets.history(tmp_path)
    words = "Permission is hereby granted, free of charge, to any person obtaining a copy"
    gold = project.gold_patch.replace('+"""Edges of ranges."""', f'+# {words}\n+"""Edges of ranges."""')
    gold = gold.replace("@@ -0,0 +1,6 @@", "@@ -0,0 +1,7 @@")
    assert words in gold
    assert audit(project._replace(gold_patch=gold)) == []


def test_damaged_archives_are_read_as_far_as_they_go(mined: Project) -> None:
    write(mined.packages / "a.whl", zipped(mined.solution)[40:])
    write(mined.packages / "b.tar.gz", tarred(mined.solution)[:50])
    write(mined.packages / "c.pyc", b"\xe3" * 9)
    write(mined.tree / "latin.txt", b"\xff\xfe caf\xe9\n")
    assert audit(mined) == []


def test_symlinks_are_not_followed(mined: Project, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/core.py", mined.solution)
    (mined.tree / "link.py").symlink_to(outside)
    (mined.tree / "folder").symlink_to(outside.parent)
    assert audit(mined) == []


def test_one_index_serves_many_tasks(mined: Project) -> None:
    write(mined.packages / "widgets/core.py", mined.solution)
    shared = mined._replace(roots={name: LeakIndex.build(path) for name, path in mined.roots.items()})  # type: ignore[arg-type]
    assert audit(shared) == audit(mined) != []


def test_bad_input_is_named(mined: Project) -> None:
    with pytest.raises(BadInputError, match="root 'tree'"):
        audit(mined._replace(roots={"venv": mined.roots["venv"]}))
    with pytest.raises(PatchError, match="does not apply"):
        audit(mined._replace(setup_patch=mined.setup_patch.replace("-def test_merge", "-def test_emerge")))
