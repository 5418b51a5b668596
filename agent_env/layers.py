"""The agent's starting layer of a task: the changed files of its start state, and a repository of one root commit.

Made once for each task and kept with the build; every sandbox of the task shares it, read-only.
"""

import uuid
from pathlib import Path

from agent_env.grading.states import gold_edits, start_edits
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import remove_tree
from agent_env.store import Build, lock
from blockers.ablation import leave_future
from blockers.clean_repo import audit_git_dir, make_git_dir
from blockers.git_layout import BRANCH
from tasks.record import digest_json
from tasks.task import Task
from tasks.tree import list_files


def task_layer(build: Build, task: Task, *, unblocked: bool = False) -> Path:
    """The layer that turns the build's tree into the task's start state.

    Args:
        unblocked: leave the solution in the repository's history: for a test bench alone.

    Raises:
        PatchError: the task's patch does not fit the environment's tree.
    """
    digest = digest_json([task.id, task.setup_patch])[:16]
    folder = build.folder / "starts" / (f"unblocked-{digest}" if unblocked else digest)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with lock(folder):
        if folder.is_dir():
            return folder
        beside = folder.with_name(f"new-{uuid.uuid4().hex}")
        beside.mkdir()
        try:
            edits = start_edits(task, build.tree)
            lay_edits(edits, beside)
            commit = make_git_dir(build.tree, edits, beside / ".git", untracked=list_files(build.folder / "extra"))
            findings = audit_git_dir(beside / ".git", commit)
            assert not findings, findings
            if unblocked:
                leave_future(beside / ".git", build.tree, {**edits, **gold_edits(task, build.tree)})
            beside.rename(folder)
        finally:
            remove_tree(beside)
    return folder


def start_commit(layer: Path) -> str:
    """The id of the one commit of a layer's repository."""
    return (layer / ".git" / BRANCH).read_text().strip()
