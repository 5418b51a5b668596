"""The states of a task as edits over its environment's tree."""

from pathlib import Path

from tasks.patch import apply_patch, reader
from tasks.task import Task
from tasks.tree import Edits


def start_edits(task: Task, tree: Path) -> dict[str, bytes | None]:
    """What the agent starts from.

    Raises:
        PatchError: the task's patch does not fit the tree.
    """
    return apply_patch(task.setup_patch, reader(tree))


def gold_edits(task: Task, tree: Path) -> dict[str, bytes | None]:
    """The files that the gold patch changes, after it, over the start state."""
    return apply_patch(task.gold_patch, reader(tree, start_edits(task, tree)))


def graded_edits(task: Task, tree: Path, crossed: Edits) -> dict[str, bytes | None]:
    """What is graded: the start state, the agent's files over it, the hidden tests over both."""
    start = start_edits(task, tree)
    return {**start, **crossed, **apply_patch(task.test_patch, reader(tree, start))}
