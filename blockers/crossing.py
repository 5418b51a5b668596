"""What crosses from an agent's sandbox to the grader: text of source files, and nothing else.

Two doors with one set of rules. ``crossing`` takes changed files and leaves out, with a reason each, what may not
pass: an agent that also wrote tests or a cache keeps its fix. ``check_patch`` takes a patch as text, from outside, and
refuses it whole: a patch with a trick in it is not half-applied.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import NamedTuple

from blockers.errors import PatchRefusedError
from blockers.patch_grammar import parse_patch
from blockers.path_rules import Reason, path_reason, same_file_key, top_names
from tasks.tree import Edits

MAX_FILE_BYTES = 1 << 20
"""Largest file that crosses."""

MAX_TOTAL_BYTES = 8 << 20
"""Largest sum of files that cross, and largest patch."""

MAX_FILES = 500
"""Most files that cross, deletions counted."""


class LeftOut(NamedTuple):
    """A changed file that does not cross."""

    path: str
    reason: Reason


class Crossing(NamedTuple):
    """The decision on an agent's changes."""

    files: dict[str, bytes | None]
    """What the grader gets: new content, or None for a source file that the agent deleted."""
    left_out: tuple[LeftOut, ...]
    """What stays behind, sorted by path."""


def crossing(changes: Edits, *, existing: Collection[str] = ()) -> Crossing:
    """Decide which of an agent's changes go to the grader. Never fails, whatever the paths and bytes.

    Args:
        changes: the changed files of the work tree.
        existing: paths of the start state. Only the names of top-level modules are taken from it, to tell a module of
            the project from a new one that shadows the standard library; empty is the stricter reading.
    """
    owned = _modules(existing)
    reasons: dict[str, Reason] = {}
    for path, content in changes.items():
        reason = path_reason(path, owned) or _content_reason(content)
        if reason:
            reasons[path] = reason
    passing = {path: content for path, content in changes.items() if path not in reasons}
    reasons |= dict.fromkeys(_collisions(passing), Reason.COLLISION)
    files: dict[str, bytes | None] = {}
    total = 0
    # Code goes first, so that a heap of generated data cannot push the fix out.
    for path in sorted(changes.keys() - reasons.keys(), key=lambda path: (not path.endswith(".py"), path)):
        content = changes[path]
        size = len(content or b"")
        if len(files) >= MAX_FILES or total + size > MAX_TOTAL_BYTES:
            reasons[path] = Reason.TOO_MANY
            continue
        files[path] = content
        total += size
    return Crossing(files, tuple(LeftOut(path, reasons[path]) for path in sorted(reasons)))


def check_patch(patch: str, *, existing: Collection[str] = ()) -> None:
    """Check a patch given as text; it may then be applied, and must apply exactly.

    Args:
        patch: read from bytes with ``errors="surrogateescape"``, so that what is not UTF-8 is seen here.
        existing: as for ``crossing``.

    Raises:
        PatchRefusedError: it holds anything but changes of text in source files, or is over a size limit.
    """
    _check_text(patch)
    owned = _modules(existing)
    paths: list[str] = []
    for file in parse_patch(patch):
        reason = path_reason(file.path, owned)
        if reason:
            raise PatchRefusedError(file.path, reason, "only source files of the project may be changed")
        if sum(len(line.encode()) for hunk in file.hunks for line in hunk if line[0] == "+") > MAX_FILE_BYTES:
            raise PatchRefusedError(file.path, Reason.TOO_LARGE, f"it adds more than {MAX_FILE_BYTES} bytes")
        paths.append(file.path)
        if len(paths) > MAX_FILES:
            raise PatchRefusedError("", Reason.TOO_MANY, f"more than {MAX_FILES} files")
    twice = [path for path, times in Counter(map(same_file_key, paths)).items() if times > 1]
    if twice:
        raise PatchRefusedError(twice[0], Reason.COLLISION, "the patch names it more than once")


def _modules(existing: Collection[str]) -> frozenset[str]:
    """The top-level names of Python modules; a folder of that name which holds no Python owns nothing."""
    return top_names([path for path in existing if path.endswith(".py")])


def _check_text(patch: str) -> None:
    try:
        size = len(patch.encode())
    except UnicodeEncodeError as error:
        raise PatchRefusedError("", Reason.NOT_TEXT, f"not UTF-8 at character {error.start}") from None
    if size > MAX_TOTAL_BYTES:
        raise PatchRefusedError("", Reason.TOO_LARGE, f"{size} bytes; at most {MAX_TOTAL_BYTES} are read")
    if "\0" in patch:
        raise PatchRefusedError("", Reason.NOT_TEXT, "it holds a NUL character")


def _content_reason(content: bytes | None) -> Reason | None:
    if content is None:
        return None
    if len(content) > MAX_FILE_BYTES:
        return Reason.TOO_LARGE
    try:
        content.decode()
    except UnicodeDecodeError:
        return Reason.NOT_TEXT
    return Reason.NOT_TEXT if b"\0" in content else None


def _collisions(changes: Edits) -> set[str]:
    """Paths, among files that stay, that cannot lie side by side on every file system."""
    present = [path for path, content in changes.items() if content is not None]
    times = Counter(map(same_file_key, present))
    parents = {path: {same_file_key(str(parent)) for parent in PurePosixPath(path).parents} for path in present}
    folders = set().union(*parents.values())
    clashing = {key for key in times if times[key] > 1 or key in folders}
    return {path for path in present if same_file_key(path) in clashing or parents[path] & clashing}
