"""The leak audit of a whole pool, repeated on what this machine would show to an agent.

A build audits each candidate on the files that it has in hand, and on copies of its modules in the rest of the
sandbox's root. Here the same search runs over the pool as it is now and the environments as they are built here, the
agent's repository is audited object by object, and all of that rest (the image, or the host's programs) is searched
from inside a sandbox, in whatever file an answer may stand.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from agent_env.layers import start_commit
from agent_env.sandbox.base import VENV_DIR, WORK_DIR, Limits
from agent_env.store import Build
from agent_env.workbench import Workbench
from blockers.findings import Finding
from blockers.git_audit import audit_git_dir
from blockers.leak_audit import LeakIndex, audit_leaks
from blockers.leaks.image import Wanted, search_image, telling_lines
from blockers.leaks.marks import import_path
from blockers.leaks.search import TREE
from blockers.leaks.texts import is_code, normal
from tasks.patch import apply_patch, patched_paths, reader
from tasks.record import Record
from tasks.task import Task
from tasks.tree import Edits

SEARCH_LIMITS = Limits(output_bytes=64 << 20)
"""Of a sandbox whose root is searched: what is found may be long."""

AUDITED_APART = (WORK_DIR, VENV_DIR)
"""What of a sandbox's root ``index_build`` covers."""


class LeakCertificate(Record):
    """What was searched for one task's answer, and what was found."""

    task: str
    searched: dict[str, int]
    """Texts, members of archives included, by root."""
    digests: dict[str, str]
    """SHA-256 over the names of those texts, by root."""
    commit: str
    """The one commit of the agent's repository, over all of whose objects the git audit ran."""
    findings: tuple[str, ...]
    """Empty for a task that may stay in a pool."""


def audit_pool(
    bench: Workbench, tasks: Sequence[Task], told: Callable[[str], None] = lambda _: None
) -> Iterator[LeakCertificate]:
    """Audit tasks; those of one environment share its indexes and one search of the image.

    Args:
        told: is told of each task when it is done.

    Raises:
        BadInputError: the pool lacks an environment, or it cannot be built.
        InfraError: the machine failed; what is not yet yielded is not proven.
    """
    by_environment: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        by_environment[task.environment_id].append(task)
    for mates in by_environment.values():
        build = bench.build(mates[0])
        indexes = index_build(build)
        elsewhere = _search_image(bench, mates, indexes)
        for task in mates:
            yield _audit(task, build, bench.layer(task), indexes, elsewhere[task.id])
            told(task.id)


def index_build(build: Build) -> dict[str, LeakIndex]:
    """The indexes of what an environment shows to an agent: its tree, what the install made in it, its packages."""
    folders = {"tree": build.tree, "made": build.layers[-1], "venv": build.venv}
    return {name: LeakIndex.build(folder) for name, folder in folders.items()}


def hidden_files(task: Task, build: Build) -> Edits:
    """The hidden tests of a task, as they are laid for grading."""
    start = apply_patch(task.setup_patch, reader(build.tree))
    return apply_patch(task.test_patch, reader(build.tree, start))


def _audit(
    task: Task, build: Build, layer: Path, indexes: dict[str, LeakIndex], elsewhere: list[Finding]
) -> LeakCertificate:
    commit = start_commit(layer)
    findings = [
        *audit_leaks(
            gold_patch=task.gold_patch,
            setup_patch=task.setup_patch,
            statement=task.statement.text,
            hidden_files=hidden_files(task, build),
            failing=task.fail_to_pass,
            roots=indexes,
        ),
        *audit_git_dir(layer / ".git", commit),
        *elsewhere,
    ]
    return LeakCertificate(
        task=task.id,
        searched={name: len(index.paths) for name, index in indexes.items()},
        digests={name: _digest(index.paths) for name, index in indexes.items()},
        commit=commit,
        findings=tuple(map(str, findings)),
    )


def _search_image(
    bench: Workbench, tasks: Sequence[Task], indexes: Mapping[str, LeakIndex]
) -> dict[str, list[Finding]]:
    wanted = {task.id: wanted_in_image(task.gold_patch, task.setup_patch, indexes) for task in tasks}
    sandbox = bench.open(tasks[0], SEARCH_LIMITS)
    try:
        return search_image(sandbox, wanted, skipped=AUDITED_APART)
    finally:
        sandbox.close()


def wanted_in_image(gold_patch: str, setup_patch: str, indexes: Mapping[str, LeakIndex]) -> Wanted:
    """A task's gold lines, less those that its environment has in Python source: what those hold was audited there."""
    lines = telling_lines(gold_patch)
    masked = set(patched_paths(setup_patch))
    own = {
        line
        for line in lines
        for name, index in indexes.items()
        if _is_own(line, index, masked if name == TREE else set())
    }
    return Wanted(lines - own, frozenset(import_path(path) for path in patched_paths(gold_patch)))


def _is_own(line: str, index: LeakIndex, masked: set[str]) -> bool:
    places = (place for place in index.lines(normal(line)) if is_code(place.path) and not place.compiled)
    return any(place.path not in masked for place in places)


def _digest(paths: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(paths)).encode(errors="surrogateescape")).hexdigest()
