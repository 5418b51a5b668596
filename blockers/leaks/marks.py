"""What would give a gold patch away: lines, runs of lines and names that the solution has and the start lacks."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from blockers.leaks.index import MIN_LINE, WINDOW, tells
from blockers.leaks.texts import code_names, normal, numbered
from blockers.patch_grammar import FilePatch, parse_patch

Window = tuple[str, ...]
"""Consecutive lines in normal form."""

IMPORT_FOLDERS = ("src/", "lib/", "python/")
"""Folders that are not a part of the import path."""


class GoldMarks(NamedTuple):
    """The marks of one gold patch."""

    lines: frozenset[str]
    """Added lines, in normal form, that are long enough to tell anything and are not in the start of these files."""
    windows: frozenset[Window]
    """Runs of three lines around the change that the start of these files does not have."""
    pairs: Mapping[str, frozenset[Window]]
    """By module, runs of two such lines: too common to search for, enough to tell which version a copy is."""
    names: frozenset[str]
    """Identifiers in added lines."""
    created: frozenset[str]
    """Paths that the solution adds."""


def gold_marks(gold_patch: str, start: Mapping[str, bytes | None]) -> GoldMarks:
    """The marks of a gold patch.

    Args:
        gold_patch: from the start state to the solution.
        start: the start state's content of the files that the patch names.

    Raises:
        PatchRefusedError: the patch is not one that could cross to the grader.
    """
    files = list(parse_patch(gold_patch))
    texts = [(content or b"").decode(errors="replace") for content in start.values()]
    before = [[line for _, line in numbered(text)] for text in texts]
    known_lines = {line for lines in before for line in lines}
    known_windows = {run for lines in before for run in runs(lines, WINDOW)}
    known_pairs = {run for lines in before for run in runs(lines, 2)}
    added = [line[1:] for file in files for hunk in file.hunks for line in hunk if line[0] == "+"]
    windows = {run for file in files for lines in _solution(file) for run in runs(lines, WINDOW) if tells(run)}
    return GoldMarks(
        lines=frozenset(line for line in map(normal, added) if len(line) >= MIN_LINE) - known_lines,
        windows=frozenset(windows - known_windows),
        pairs={
            import_path(file.path): frozenset(run for lines in _solution(file) for run in runs(lines, 2)) - known_pairs
            for file in files
            if not file.deleted
        },
        names=frozenset(code_names("\n".join(added))),
        created=frozenset(file.path for file in files if file.created),
    )


def runs(lines: list[str], size: int) -> Iterator[Window]:
    """All runs of ``size`` consecutive lines."""
    return (tuple(lines[at : at + size]) for at in range(len(lines) - size + 1))


def import_path(path: str) -> str:
    """A path of the repository as it would stand below a folder of installed packages."""
    for folder in IMPORT_FOLDERS:
        path = path.removeprefix(folder)
    return path


def _solution(file: FilePatch) -> list[list[str]]:
    """The lines of each hunk as the solution has them, in normal form, empty ones left out."""
    shown = [[normal(line[1:]) for line in hunk if line[0] != "-"] for hunk in file.hunks]
    return [[line for line in lines if line] for lines in shown]
