"""The three patches of a task, made from a candidate's states."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from blockers.crossing import check_patch
from env_builder.candidate import Candidate
from tasks.patch import make_patch, reader
from tasks.paths import PathKind, path_kind
from tasks.tree import Edits, list_files


class DraftPatches(NamedTuple):
    """A task's patches, and the files that an agent must not see."""

    setup: str
    gold: str
    tests: str
    hidden: Edits
    """Hidden test files with their content."""


def draft_patches(candidate: Candidate, tree: Path, fail_to_pass: Collection[str]) -> DraftPatches:
    """Diff the states of a candidate into the patches of a task.

    The files that hold fail-to-pass tests are hidden. Where the candidate brings tests of its own (history), the agent
    sees those files as they were before; where it does not, they are gone from the start state.

    Raises:
        PatchError: a changed file is not text.
        PatchRefusedError: the gold patch changes what no agent's patch may.
    """
    original = reader(tree)
    failing_files = {test_id.partition("::")[0] for test_id in fail_to_pass}
    removed = {path for path in failing_files - set(candidate.tests) if path_kind(path) is PathKind.TEST}
    start: dict[str, bytes | None] = {**candidate.broken, **dict.fromkeys(removed)}
    in_start = reader(tree, start)
    solved = {path: candidate.gold.get(path, original(path)) for path in {*candidate.broken, *candidate.gold}}
    hidden = {**{path: original(path) for path in removed}, **candidate.tests}
    gold = make_patch({path: in_start(path) for path in solved}, solved)
    check_patch(gold, existing=list_files(tree))
    return DraftPatches(
        setup=make_patch({path: original(path) for path in start}, start),
        gold=gold,
        tests=make_patch({path: in_start(path) for path in hidden}, hidden),
        hidden=hidden,
    )
