"""The leak audit of a whole pool, repeated on what this machine would show to an agent.

A build audits each candidate on what its own machine shows. Here the same search runs over the pool as it is now and
the environments as they are built here: their trees and packages by index; the sandbox's root beside (the image, or the
host's programs) from inside a sandbox, in whatever file an answer may stand; the agent's repository object by object.
The newest release that a task is compared with is the newest of its project that the pool has.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from agent_env.layers import start_commit
from agent_env.root_search import AUDITED_APART, SEARCH_LIMITS, find_newer, newer_in_root, wanted_in_root
from agent_env.store import Build
from agent_env.workbench import Workbench
from blockers.findings import Finding
from blockers.git_audit import audit_git_dir
from blockers.leak_audit import LeakIndex, audit_leaks
from blockers.leaks.image import compiled_findings, find_lines, image_findings, list_modules, newer_findings
from tasks.patch import apply_patch, reader
from tasks.record import Record
from tasks.scratch import scratch
from tasks.task import Task
from tasks.tree import Edits


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
        with scratch("audit") as folder:
            newest = _newest_tree(bench, mates[0], folder)
            elsewhere = _search_root(bench, mates, indexes, newest)
            for task in mates:
                yield _audit(task, build, bench.layer(task), indexes, newest, elsewhere[task.id])
                told(task.id)


def index_build(build: Build) -> dict[str, LeakIndex]:
    """The indexes of what an environment shows to an agent: its tree, what the install made in it, its packages."""
    folders = {"tree": build.tree, "made": build.layers[-1], "venv": build.venv}
    return {name: LeakIndex.build(folder) for name, folder in folders.items()}


def hidden_files(task: Task, build: Build) -> Edits:
    """The hidden tests of a task, as they are laid for grading."""
    start = apply_patch(task.setup_patch, reader(build.tree))
    return apply_patch(task.test_patch, reader(build.tree, start))


def _newest_tree(bench: Workbench, task: Task, folder: Path) -> Path:
    """The tree of the newest release of a task's project that the pool has, unpacked."""
    kin = {other.environment_id for other in bench.pool.rows() if other.repo == task.repo}
    newest = max(sorted(kin), key=lambda name: bench.pool.environment(name).committed_at)
    bench.pool.unpack_environment(newest, folder)
    return folder


def _audit(
    task: Task,
    build: Build,
    layer: Path,
    indexes: dict[str, LeakIndex],
    newest: Path,
    elsewhere: list[Finding],
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
            newest=newest,
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


def _search_root(
    bench: Workbench, tasks: Sequence[Task], indexes: Mapping[str, LeakIndex], newest: Path
) -> dict[str, list[Finding]]:
    wanted = {task.id: wanted_in_root(task.gold_patch, task.setup_patch, indexes) for task in tasks}
    newer = {task.id: newer_in_root(task.gold_patch, task.setup_patch, indexes, newest) for task in tasks}
    sandbox = bench.open(tasks[0], SEARCH_LIMITS)
    try:
        lines = {line for one in wanted.values() for line in one.lines}
        hits = find_lines(sandbox, lines, skipped=AUDITED_APART)
        modules = list_modules(sandbox, skipped=AUDITED_APART)
        copies = find_newer(sandbox, modules, newer.values())
    finally:
        sandbox.close()
    return {
        task.id: [
            *image_findings(wanted[task.id], hits),
            *compiled_findings(wanted[task.id], modules),
            *newer_findings(newer[task.id], copies),
        ]
        for task in tasks
    }


def _digest(paths: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(paths)).encode(errors="surrogateescape")).hexdigest()
