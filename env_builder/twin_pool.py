"""A pool with impossible twins for a share of its tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_env.workbench import Workbench
from env_builder.errors import NothingBuiltError
from env_builder.twin import NoTwin, make_twin
from tasks.errors import BadInputError, PoolError
from tasks.pool import Pool
from tasks.record import digest_json
from tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class TwinReport:
    """What came of it."""

    pool: Path
    tasks: int
    twins: tuple[str, ...]
    """Ids of the twins."""
    left_out: tuple[NoTwin, ...]
    """Tasks that were picked and have none."""


def add_twins(
    bench: Workbench,
    out: Path,
    *,
    share: float,
    seed: int = 0,
    on_try: Callable[[str], None] = lambda task_id: None,
) -> TwinReport:
    """Copy a pool to ``out`` with twins for a share of its tasks; a task without one gives its place to the next.

    Args:
        bench: of the pool without twins.
        share: of the tasks, above 0 and at most 1; at least one twin is made.
        seed: chooses tasks, assertions and wrong values.
        on_try: told of each task that is picked.

    Raises:
        BadInputError: the share is no share, ``out`` exists, the pool is empty or has twins already, or none can be
            made.
        SandboxError: the machine failed; nothing is written then.
    """
    pool = bench.pool
    tasks = _check(pool, out, share)
    wanted = max(1, round(share * len(tasks)))
    twins: list[Task] = []
    left_out: list[NoTwin] = []
    for task in sorted(tasks, key=lambda task: digest_json([seed, task.id])):
        if len(twins) == wanted:
            break
        on_try(task.id)
        made = make_twin(task, bench, seed=seed)
        if isinstance(made, NoTwin):
            left_out.append(made)
        else:
            twins.append(made)
    if not twins:
        causes = "; ".join(f"{one.task}: {one.reason} ({one.detail})" for one in left_out)
        raise NothingBuiltError(f"no task of {pool.path} can be contradicted: {causes}")
    pool.copy(out).write_tasks([*tasks, *twins])
    return TwinReport(
        pool=out, tasks=len(tasks), twins=tuple(sorted(twin.id for twin in twins)), left_out=tuple(left_out)
    )


def _check(pool: Pool, out: Path, share: float) -> Sequence[Task]:
    if not 0 < share <= 1:
        raise BadInputError(f"share is {share}; expected a number above 0, and 1 at most")
    if out.exists():
        raise PoolError(f"{out} exists: expected a path where nothing is yet")
    if pool.twins():
        raise PoolError(f"{pool.path} has twins already: make them from the pool without")
    if not (tasks := pool.tasks()):
        raise PoolError(f"{pool.path} holds no task to make a twin of")
    return tasks
