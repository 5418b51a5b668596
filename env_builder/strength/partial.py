"""Partial fixes: the gold patch less one of its hunks, or less one of its files."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from env_builder.strength.attempt import Attempt, Kind
from env_builder.strength.solution import Solution
from tasks.patch import patched_paths

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
"""No line of a hunk's content begins so: those have a sign in front."""

_FILE = re.compile(r"^(?=diff --git )", re.MULTILINE)

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class _Hunk(NamedTuple):
    """The lines (from 0) that a hunk takes and gives."""

    old: slice
    new: slice


def partial_fixes(solution: Solution) -> Iterator[Attempt]:
    """The gold patch less each of its hunks and files in turn, of Python code alone."""
    hunks = dict(zip(patched_paths(solution.patch), map(_hunks, _FILE.split(solution.patch)[1:]), strict=True))
    for path in solution.code():
        before, content = solution.start[path], solution.gold[path]
        yield Attempt(Kind.PARTIAL, "without this file", path, solution.with_file(path, before))
        if before is None or content is None:
            continue
        for number, hunk in enumerate(hunks[path], 1):
            how = f"without hunk {number} of {len(hunks[path])}"
            yield Attempt(Kind.PARTIAL, how, path, solution.with_file(path, _without(hunk, before, content)))


def _hunks(file: str) -> list[_Hunk]:
    found = []
    for match in _HUNK.finditer(file):
        old, old_count, new, new_count = (1 if group is None else int(group) for group in match.groups())
        found.append(_Hunk(_span(old, old_count), _span(new, new_count)))
    return found


def _span(line: int, count: int) -> slice:
    """Where a hunk takes or gives nothing, its line is the one before."""
    first = line - 1 if count else line
    return slice(first, first + count)


def _without(hunk: _Hunk, before: bytes, after: bytes) -> bytes:
    """A file with all hunks but one. Done by line numbers: git would look for a place that fits."""
    lines = _LINE.findall(after)
    lines[hunk.new] = _LINE.findall(before)[hunk.old]
    return b"".join(lines)
