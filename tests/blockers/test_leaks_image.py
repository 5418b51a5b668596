"""The search of a sandbox's root, in a real sandbox: planted copies are found by file and line, idioms are not."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.sandbox.base import Limits, Mount, Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from blockers.errors import AuditError
from blockers.findings import Finding
from blockers.leaks.image import (
    Wanted,
    compiled_findings,
    find_lines,
    image_findings,
    list_modules,
    newer_findings,
    telling_lines,
)

LINES = frozenset(
    {"total = combine(left, right_hand_side)", "return widened_by(total, margin=3)", "margin = margin or 3"}
)
WANTED = Wanted(LINES, frozenset({"pkg/mod.py"}))
SKIPPED = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/testbed")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


@pytest.fixture
def sandbox(tmp_path: Path, planted: Path) -> Iterator[Sandbox]:
    (tmp_path / "tree").mkdir()
    spec = SandboxSpec(
        layers=(tmp_path / "tree",),
        mounts=(Mount(source=planted, target="/opt/image"),),
        limits=Limits(output_bytes=1 << 20),
    )
    made = BubblewrapBackend().create(spec)
    yield made
    made.close()


def search(sandbox: Sandbox, wanted: Wanted = WANTED) -> list[Finding]:
    return list(image_findings(wanted, find_lines(sandbox, LINES, skipped=SKIPPED)))


def put(planted: Path, path: str, *lines: str) -> None:
    (planted / path).parent.mkdir(parents=True, exist_ok=True)
    first = "#!/usr/bin/perl" if path.startswith("bin/") else "# a file"
    (planted / path).write_text(f"{first}\n" + "".join(f"    {line}\n" for line in lines))


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("notes.txt", sorted(LINES)[:1]),
        ("lib/pkg/mod.py", sorted(LINES)[:1]),
        ("lib/renamed.py", sorted(LINES)),
        ("bin/tool", sorted(LINES)),
    ],
    ids=["a line in a text", "a line in the changed module", "three lines in Python source", "three lines in a script"],
)
def test_a_copy_is_found_by_file_and_line(sandbox: Sandbox, planted: Path, path: str, lines: list[str]) -> None:
    put(planted, path, *lines)
    assert [(finding.where, finding.line) for finding in search(sandbox)] == [(f"image:/opt/image/{path}", 2)]
    assert search(sandbox, Wanted(frozenset(), WANTED.modules)) == []


@pytest.mark.parametrize(
    "paths",
    [("one.py",), ("bin/to ol",), ("one.py", "two.py", "notes.txt"), ("lib/python3.11/heapq.py", "notes.txt"), ()],
    ids=["a line of Python source", "a line of a script", "an idiom", "the standard library", "nothing"],
)
def test_what_proves_nothing_is_not_found(sandbox: Sandbox, planted: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        put(planted, path, sorted(LINES)[0])
    assert search(sandbox) == []


def test_only_the_files_that_were_named_are_searched(sandbox: Sandbox, planted: Path) -> None:
    for folder in ("vendored", "else\nwhere"):
        put(planted, f"{folder}/pkg/mod.py", sorted(LINES)[0])
    put(planted, "notes.txt", sorted(LINES)[0])
    modules = list_modules(sandbox, skipped=SKIPPED)
    assert sorted(modules) == ["/opt/image/else\nwhere/pkg/mod.py", "/opt/image/vendored/pkg/mod.py"]
    found = image_findings(WANTED, find_lines(sandbox, LINES, skipped=(), among=modules[:1]))
    assert [finding.where for finding in found] == [f"image:{modules[0]}"]
    assert not find_lines(sandbox, LINES, skipped=(), among=[]).numbers


def test_a_copy_of_a_module_as_a_later_release_has_it_takes_three_lines(sandbox: Sandbox, planted: Path) -> None:
    put(planted, "vendored/pkg/mod.py", *sorted(LINES))
    put(planted, "older/pkg/mod.py", *sorted(LINES)[1:])
    put(planted, "pkg/other.py", *sorted(LINES))
    hits = find_lines(sandbox, LINES | {"a_line_that_stands_nowhere()"}, skipped=SKIPPED)
    found = list(newer_findings({"pkg/mod.py": LINES | {"a_line_that_stands_nowhere()"}}, hits))
    assert [(finding.vector, finding.where) for finding in found] == [
        ("newer-release", "image:/opt/image/vendored/pkg/mod.py")
    ]


def test_a_compiled_copy_without_its_source_is_found(sandbox: Sandbox, planted: Path) -> None:
    for path in ("a/pkg/__pycache__/mod.cpython-311.pyc", "b/pkg/mod.pyc", "c/pkg/__pycache__/mod.cpython-311.pyc"):
        put(planted, path)
    put(planted, "c/pkg/mod.py")
    put(planted, "c/pkg/__pycache__/other.cpython-311.pyc")
    found = compiled_findings(WANTED, list_modules(sandbox, skipped=SKIPPED))
    assert [(finding.vector, finding.where) for finding in found] == [
        ("bytecode", "image:/opt/image/a/pkg/__pycache__/mod.cpython-311.pyc"),
        ("bytecode", "image:/opt/image/b/pkg/mod.pyc"),
    ]


def test_names_with_a_line_break_do_not_hide_a_copy(sandbox: Sandbox, planted: Path) -> None:
    put(planted, "a\nb:9:c.txt", sorted(LINES)[0])
    assert search(sandbox)


def test_a_search_that_does_not_end_proves_nothing(sandbox: Sandbox) -> None:
    sandbox.run("find() { kill -9 $$; }; export -f find", timeout=10)
    with pytest.raises(AuditError, match="did not end"):
        search(sandbox)


def test_the_telling_lines_of_a_patch_are_those_it_adds() -> None:
    hunk = "@@ -1,2 +1,3 @@\n-old_name_of_thing = 1\n+new_name_of_the_thing = 2\n+x = 1\n context_line_of_code()\n"
    patch = f"--- a/x.py\n+++ b/x.py\n{hunk}"
    assert telling_lines(patch) == {"new_name_of_the_thing = 2"}


def packed(path: str, content: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path, content)
    return raw.getvalue()


SOURCE = "".join(f"    {line}\n" for line in sorted(LINES)).encode()


@pytest.mark.parametrize(
    ("member", "lines", "found"),
    [("pkg/mod.py", 1, True), ("vendored/renamed.py", 3, True), ("vendored/renamed.py", 1, False)],
    ids=["a line in the changed module", "three lines in another", "a line by chance"],
)
def test_a_wheel_is_looked_into(sandbox: Sandbox, planted: Path, member: str, lines: int, found: bool) -> None:
    content = b"".join(SOURCE.splitlines(keepends=True)[:lines])
    (planted / "kit-1.0-py3-none-any.whl").write_bytes(packed(member, content))
    where = [(finding.where, finding.line) for finding in search(sandbox)]
    assert where == ([(f"image:/opt/image/kit-1.0-py3-none-any.whl!/{member}", 1)] if found else [])


def test_archives_that_are_none_or_hold_no_source_are_passed_over(sandbox: Sandbox, planted: Path) -> None:
    (planted / "broken.zip").write_bytes(b"PK\5\6 and nothing more")
    (planted / "java.zip").write_bytes(packed("Main.java", SOURCE))
    assert search(sandbox) == []


def test_more_than_can_be_shown_proves_nothing(sandbox: Sandbox, planted: Path) -> None:
    (planted / "notes.txt").write_text(f"{sorted(LINES)[0]}\n" * 40_000)
    with pytest.raises(AuditError, match="more than can be shown"):
        search(sandbox)


def test_a_grep_that_finds_nothing_proves_nothing(sandbox: Sandbox) -> None:
    sandbox.run("xargs() { cat > /dev/null; }; export -f xargs", timeout=10)
    with pytest.raises(AuditError, match="does not find what is there"):
        search(sandbox)
