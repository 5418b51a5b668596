"""The states of a task as edits over its environment's tree, which never changes once it is built."""

from functools import lru_cache
from pathlib import Path, PurePosixPath

from tasks.patch import apply_patch, reader
from tasks.paths import PathKind, path_kind
from tasks.task import Task
from tasks.tree import Edits, list_files

_KEPT = 32
"""Tasks whose states are remembered: each episode asks for them several times, and each time git would apply them."""


def start_edits(task: Task, tree: Path) -> dict[str, bytes | None]:
    """What the agent starts from.

    Raises:
        PatchError: the task's patch does not fit the tree.
    """
    return dict(_started(task.setup_patch, tree))


def gold_edits(task: Task, tree: Path) -> dict[str, bytes | None]:
    """The files that the gold patch changes, after it, over the start state."""
    return apply_patch(task.gold_patch, reader(tree, start_edits(task, tree)))


def attempt_edits(task: Task, tree: Path, crossed: Edits) -> dict[str, bytes | None]:
    """What an attempt is without hidden tests: the start state, and the agent's files over it."""
    return _side_by_side({**start_edits(task, tree), **crossed})


def graded_edits(task: Task, tree: Path, crossed: Edits) -> dict[str, bytes | None]:
    """What is graded: the start state, the agent's files over it, the hidden tests over both."""
    return _side_by_side({**start_edits(task, tree), **crossed, **_hidden(task.setup_patch, task.test_patch, tree)})


def trusted_files(tree: Path, edits: Edits) -> list[str]:
    """What a candidate may not change in a state: its tests, their data, and what steers them."""
    mine = {path for path, content in edits.items() if content is not None and path_kind(path) is not PathKind.SOURCE}
    return sorted(mine | {path for path in _trusted(tree) if path not in edits})


@lru_cache(maxsize=_KEPT)
def _trusted(tree: Path) -> tuple[str, ...]:
    return tuple(path for path in list_files(tree) if path_kind(path) is not PathKind.SOURCE)


@lru_cache(maxsize=_KEPT)
def _started(setup_patch: str, tree: Path) -> Edits:
    return apply_patch(setup_patch, reader(tree))


@lru_cache(maxsize=_KEPT)
def _hidden(setup_patch: str, test_patch: str, tree: Path) -> Edits:
    return apply_patch(test_patch, reader(tree, _started(setup_patch, tree)))


def _side_by_side(edits: Edits) -> dict[str, bytes | None]:
    """The edits that can lie in one tree: an agent may put a file where a folder was, or a folder where a file was.

    A folder that holds something wins over a file of its name, and a file over deletions below it. Without this such
    an attempt would fail the machine, and so go unscored.
    """
    folders = {parent for path, content in edits.items() if content is not None for parent in _parents(path)}
    standing = {path: content for path, content in edits.items() if path not in folders}
    files = {path for path, content in standing.items() if content is not None}
    return {path: content for path, content in standing.items() if content is not None or not files & _parents(path)}


def _parents(path: str) -> set[str]:
    return {parent.as_posix() for parent in PurePosixPath(path).parents}
