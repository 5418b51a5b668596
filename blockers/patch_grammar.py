"""A strict reader of git-style diffs: one grammar, no guessing, so that no two programs read one patch differently.

Accepted, and nothing else:

    diff --git a/PATH b/PATH
    [new file mode 100644 | deleted file mode 100644 or 100755]
    [index HEX..HEX [100644 or 100755]]
    [--- a/PATH or /dev/null
     +++ b/PATH or /dev/null
     hunks whose line counts are exact]

Lines end at LF alone. A carriage return in a hunk's lines is content (such a patch applies only where the file has it
too); one in a header is refused. ``\\ No newline at end of file`` is allowed. An empty patch changes nothing.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from blockers.errors import PatchRefusedError

_HUNK = re.compile(r"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@(?: [^\r]*)?", re.ASCII)
_INDEX = re.compile(r"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}( 100644| 100755)?")
_NO_NEWLINE = "\\ No newline at end of file"

_REFUSED_HEADERS = (
    ("GIT binary patch", "binary", "a binary hunk; only text crosses"),
    ("Binary files ", "binary", "a binary difference; only text crosses"),
    ("rename ", "rename", "a rename; write it as one file deleted and one added (git diff --no-renames)"),
    ("copy ", "rename", "a copy; write it as a file added (git diff --no-renames)"),
    ("similarity index", "rename", "a rename or copy; make the diff with --no-renames"),
    ("dissimilarity index", "rename", "a rewrite; make the diff without --break-rewrites"),
    ("old mode", "mode", "a change of mode; modes do not cross"),
    ("new mode", "mode", "a change of mode; modes do not cross"),
)

_MODES = {
    "120000": ("symlink", "a symlink; only regular files cross"),
    "160000": ("submodule", "a submodule; only regular files cross"),
}


class FilePatch(NamedTuple):
    """One file of a patch that follows the grammar."""

    path: str
    created: bool
    deleted: bool
    hunks: tuple[tuple[str, ...], ...]
    """The lines of each hunk, each with its first character (blank, ``+``, ``-``)."""


def parse_patch(patch: str) -> Iterator[FilePatch]:
    """The files of a git-style diff, in its order.

    Raises:
        PatchRefusedError: the text does not follow the grammar above; the error names the line.
    """
    if not patch.strip(" \t\r\n"):
        return
    lines = patch.split("\n")
    if lines[-1] == "":
        lines.pop()
    cursor = _Cursor(lines)
    while not cursor.at_end:
        yield _file(cursor)


class _Cursor:
    """A place in the lines of a patch."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next >= len(self._lines)

    @property
    def line(self) -> str | None:
        """The line to read next, or None at the end."""
        return None if self.at_end else self._lines[self._next]

    def take(self) -> str:
        self._next += 1
        return self._lines[self._next - 1]

    def refuse(self, path: str, rule: str, detail: str) -> NoReturn:
        shown = "the end of the patch" if self.at_end else repr(self._lines[self._next][:80])
        raise PatchRefusedError(path, rule, f"line {self._next + 1} ({shown}): {detail}")


def _file(cursor: _Cursor) -> FilePatch:
    path = _header_path(cursor)
    created = deleted = False
    while (line := cursor.line) is not None and not line.startswith(("diff --git ", "--- ")):
        if line.startswith(("new file mode ", "deleted file mode ")):
            created |= line.startswith("new")
            deleted |= line.startswith("deleted")
            _check_mode(cursor, path, line)
        elif not _INDEX.fullmatch(line):
            _refuse_header(cursor, path, line)
        cursor.take()
    if created and deleted:
        cursor.refuse(path, "header", "the file is both new and deleted")
    hunks = _hunks(cursor, path, created, deleted) if (cursor.line or "").startswith("--- ") else ()
    return FilePatch(path, created, deleted, hunks)


def _header_path(cursor: _Cursor) -> str:
    line = cursor.line or ""
    rest = line.removeprefix("diff --git ")
    if rest == line:
        cursor.refuse("", "header", "expected a line 'diff --git a/PATH b/PATH' and no text around the diff")
    if '"' in rest:
        cursor.refuse("", "path", "a quoted path; only paths that need no quoting cross")
    if "\r" in line:
        cursor.refuse("", "header", "a header line with a carriage return")
    # The two names must be equal, so the length alone says where the first one ends.
    size = (len(rest) - len("a/ b/")) // 2
    path = rest[2 : 2 + size]
    if size < 1 or rest != f"a/{path} b/{path}":
        cursor.refuse("", "rename", "expected the same path twice, 'a/PATH b/PATH'")
    if " b/" in path or path.startswith("/"):
        cursor.refuse(path, "path", "a path that can be read in two ways")
    cursor.take()
    return path


def _check_mode(cursor: _Cursor, path: str, line: str) -> None:
    mode = line.rsplit(" ", 1)[1]
    allowed = ("100644",) if line.startswith("new") else ("100644", "100755")
    if mode in allowed:
        return
    rule, detail = _MODES.get(mode, ("mode", f"mode {mode[:20]!r}; expected {' or '.join(allowed)}"))
    cursor.refuse(path, rule, detail)


def _refuse_header(cursor: _Cursor, path: str, line: str) -> NoReturn:
    for start, rule, detail in _REFUSED_HEADERS:
        if line.startswith(start):
            cursor.refuse(path, rule, detail)
    if re.fullmatch(r"index \S+ 1[26]0000", line):
        cursor.refuse(path, *_MODES[line.rsplit(" ", 1)[1]])
    cursor.refuse(path, "header", "not a header line of a git-style text diff")


def _hunks(cursor: _Cursor, path: str, created: bool, deleted: bool) -> tuple[tuple[str, ...], ...]:
    for expected in (
        "--- /dev/null" if created else f"--- a/{path}",
        "+++ /dev/null" if deleted else f"+++ b/{path}",
    ):
        # git puts a tab after a name that holds a blank.
        if cursor.line not in (expected, expected + "\t"):
            cursor.refuse(path, "header", f"expected {expected!r}")
        cursor.take()
    hunks = []
    while (line := cursor.line) is not None and line.startswith("@@"):
        hunks.append(_hunk(cursor, path, line))
    if not hunks:
        cursor.refuse(path, "hunk", "expected a hunk, '@@ -LINE,COUNT +LINE,COUNT @@'")
    return tuple(hunks)


def _hunk(cursor: _Cursor, path: str, head: str) -> tuple[str, ...]:
    counts = _HUNK.fullmatch(head)
    if counts is None:
        cursor.refuse(path, "hunk", "expected '@@ -LINE,COUNT +LINE,COUNT @@'")
    old, new = (int(count) if count is not None else 1 for count in counts.groups())
    cursor.take()
    body: list[str] = []
    while old or new:
        line = cursor.line
        sign = line[:1] if line else ""
        if sign not in (" ", "+", "-"):
            if line == _NO_NEWLINE and body:
                cursor.take()
                continue
            cursor.refuse(path, "hunk", f"expected {old} more old and {new} more new lines, each after ' ', '-' or '+'")
        old -= sign != "+"
        new -= sign != "-"
        if old < 0 or new < 0:
            cursor.refuse(path, "hunk", "more lines than the hunk's header says")
        body.append(cursor.take())
    if cursor.line == _NO_NEWLINE:
        cursor.take()
    if not body:
        cursor.refuse(path, "hunk", "an empty hunk")
    return tuple(body)
