"""The agent's starting layer of a task: the changed files of its start state, and a repository of one root commit.

Made once for each task and kept with the build; every sandbox of the task shares it, read-only.

Dates and numbers of files would tell which of them the bug was laid into: the other source files are laid beside them,
in random order, and all get the date of the tree's files.
"""

import os
import secrets
import shutil
from pathlib import Path

from agent_env.grading.states import gold_edits, start_edits
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import passing_residence
from agent_env.store import TREE_TIME, Build, lock
from blockers.ablation import leave_future
from blockers.clean_repo import audit_git_dir, make_git_dir
from blockers.errors import GitError
from blockers.git_layout import BRANCH
from tasks.paths import PathKind, path_kind
from tasks.record import digest_json
from tasks.task import Task
from tasks.tree import Edits, list_files

LAYER_FORM = 2
"""Raised when the layer of a task is made otherwise than before; layers of another form are made anew."""

DECOYS = 400
"""Most files that are laid beside the changed ones, to bound the room that a task takes."""


def task_layer(build: Build, task: Task, *, unblocked: bool = False) -> Path:
    """The layer that turns the build's tree into the task's start state.

    Args:
        unblocked: leave the solution in the repository's history: for a test bench alone.

    Raises:
        PatchError: the task's patch does not fit the environment's tree.
        InfraError, OSError: the machine failed.
    """
    digest = digest_json([LAYER_FORM, task.shown_id, task.setup_patch])[:16]
    folder = build.folder / "starts" / (f"unblocked-{digest}" if unblocked else digest)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with lock(folder):
        if folder.is_dir():
            return folder
        with passing_residence(build.making) as place:
            beside = place / "layer"
            beside.mkdir()
            edits = start_edits(task, build.tree)
            _lay_start(build.tree, edits, beside)
            commit = make_git_dir(build.tree, edits, beside / ".git", untracked=list_files(build.folder / "extra"))
            findings = audit_git_dir(beside / ".git", commit)
            if findings:
                raise GitError(f"the repository made for {task.id} is not what was meant: {findings[0]}")
            if unblocked:
                leave_future(beside / ".git", build.tree, {**edits, **gold_edits(task, build.tree)})
            beside.rename(folder)
    return folder


def start_commit(layer: Path) -> str:
    """The id of the one commit of a layer's repository."""
    return (layer / ".git" / BRANCH).read_text().strip()


def _lay_start(tree: Path, edits: Edits, layer: Path) -> None:
    """Write the changed files, and others of the tree among them, so that none stands apart."""
    random = secrets.SystemRandom()
    others = [path for path in list_files(tree) if path not in edits and _is_source(tree, path)]
    paths = [*edits, *random.sample(others, min(len(others), DECOYS))]
    random.shuffle(paths)
    for path in paths:
        if path in edits:
            lay_edits({path: edits[path]}, layer)
        else:
            (layer / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / path, layer / path)
    for path in list_files(layer):
        os.utime(layer / path, (TREE_TIME, TREE_TIME))


def _is_source(tree: Path, path: str) -> bool:
    return path.endswith(".py") and path_kind(path) is PathKind.SOURCE and not (tree / path).is_symlink()
