"""What is looked for of a task's answer in a sandbox's root, beyond the tree and the packages, which are indexed."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from agent_env.sandbox.base import VENV_DIR, WORK_DIR, Limits, Sandbox
from blockers.leak_audit import LeakIndex
from blockers.leaks.image import Hits, Wanted, find_lines, telling_lines
from blockers.leaks.marks import import_path
from blockers.leaks.newer import newer_lines, newer_marks
from blockers.leaks.search import TREE
from blockers.leaks.texts import is_code, normal
from tasks.patch import apply_patch, patched_paths, reader
from tasks.tree import Edits

SEARCH_LIMITS = Limits(output_bytes=64 << 20)
"""Of a sandbox whose root is searched: what is found may be long."""

AUDITED_APART = (WORK_DIR, VENV_DIR)
"""What of a sandbox's root ``pool_audit.index_build`` covers."""


def wanted_in_root(gold_patch: str, setup_patch: str, indexes: Mapping[str, LeakIndex]) -> Wanted:
    """A task's gold lines, less those that its environment has in Python source: what those hold was audited there."""
    masked = set(patched_paths(setup_patch))
    before = _changed_files(gold_patch, setup_patch, indexes)[0]
    lines = telling_lines(gold_patch) - {line for content in before.values() for line in _lines(content)}
    own = {
        line
        for line in lines
        for name, index in indexes.items()
        if _is_own(line, index, masked if name == TREE else set())
    }
    return Wanted(lines - own, frozenset(import_path(path) for path in patched_paths(gold_patch)))


def newer_in_root(
    gold_patch: str, setup_patch: str, indexes: Mapping[str, LeakIndex], newest: Path
) -> dict[str, frozenset[str]]:
    """Lines of a task's changed modules that only a later release has, by import path."""
    before, solution = _changed_files(gold_patch, setup_patch, indexes)
    return newer_lines(newer_marks({path: reader(newest)(path) for path in solution}, before, solution))


def find_newer(sandbox: Sandbox, modules: Iterable[str], newer: Iterable[Mapping[str, frozenset[str]]]) -> Hits:
    """Such lines in copies of their modules.

    Args:
        modules: of the whole root.

    Raises:
        AuditError: the search did not run to its end.
    """
    wanted = list(newer)
    ends = tuple(f"/{module}" for one in wanted for module in one)
    copies = [path for path in modules if path.endswith(ends)] if ends else []
    lines = {line for one in wanted for own in one.values() for line in own} if copies else set()
    return find_lines(sandbox, lines, skipped=(), among=copies)


def _changed_files(gold_patch: str, setup_patch: str, indexes: Mapping[str, LeakIndex]) -> tuple[Edits, Edits]:
    """The files that a gold patch changes, before and after it."""
    tree = indexes[TREE].root
    assert tree
    read = reader(tree, apply_patch(setup_patch, reader(tree)))
    solution = apply_patch(gold_patch, read)
    return {path: read(path) for path in solution}, solution


def _lines(content: bytes | None) -> Iterator[str]:
    return (line.strip() for line in (content or b"").decode(errors="replace").splitlines())


def _is_own(line: str, index: LeakIndex, masked: set[str]) -> bool:
    places = (place for place in index.lines(normal(line)) if is_code(place.path) and not place.compiled)
    return any(place.path not in masked for place in places)
