"""What a later release of a project has in the changed files, and neither start nor solution: it marks a copy of that
release, which holds the answer even where its lines have changed since."""

from collections.abc import Mapping
from typing import NamedTuple

from blockers.leaks.index import MIN_LINE, WINDOW, tells
from blockers.leaks.marks import Window, import_path, runs
from blockers.leaks.texts import normal, numbered
from tasks.tree import Edits


class NewerMarks(NamedTuple):
    """Of one changed file."""

    windows: frozenset[Window]
    """Runs of lines, in normal form."""
    lines: frozenset[str]
    """Lines without the blanks around them."""


def newer_marks(newest: Edits, before: Edits, solution: Edits) -> dict[str, NewerMarks]:
    """By the import path under which a copy would stand; files that the newest release has no more are left out.

    Args:
        newest: the changed files as the newest release has them.
        before, solution: the same before and after the gold patch.
    """
    here = [content for edits in (before, solution) for content in edits.values() if content]
    known = {run for content in here for run in _windows(content)}
    known_lines = {line for content in here for line in _stripped(content)}
    return {
        import_path(path): NewerMarks(
            frozenset(run for run in _windows(content) - known if tells(run)),
            frozenset(line for line in _stripped(content) - known_lines if len(normal(line)) >= MIN_LINE),
        )
        for path, content in newest.items()
        if content and path in solution
    }


def newer_lines(marks: Mapping[str, NewerMarks]) -> dict[str, frozenset[str]]:
    """The lines alone, for a search that compares lines."""
    return {module: one.lines for module, one in marks.items() if one.lines}


def _windows(content: bytes) -> set[Window]:
    return set(runs([line for _, line in numbered(content.decode(errors="replace"))], WINDOW))


def _stripped(content: bytes) -> set[str]:
    return {line.strip() for line in content.decode(errors="replace").splitlines()}
