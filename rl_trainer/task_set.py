"""What a run trains on: tasks of a pool with their environments, demonstrations and sources."""

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent_env.env import SWEEnv
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from rl_trainer.config import TrainConfig
from rl_trainer.errors import TooFewTasksError
from rl_trainer.scripted import Script, oracle_script, shortest
from rl_trainer.text_env import EnvFactory
from tasks.pool import Pool

MAX_SOURCE_BYTES = 4_000_000
"""Most source text that a tokenizer is trained on: more changes its vocabulary little."""


@dataclass(frozen=True, kw_only=True)
class TaskSet:
    """Tasks as training needs them."""

    make_env: EnvFactory
    task_ids: Sequence[str]
    demonstrate: Callable[[int], list[Script]]
    """Scripts that solve so many of the tasks."""
    sources: Callable[[], list[str]]
    """Texts like those that the policy will read, for a tokenizer."""
    twin_ids: Sequence[str] = ()
    """Impossible twins: never trained on, only measured."""
    unblocked: bool = False
    """Whether the pool's blockers are off, so that rewards mean nothing."""


def open_task_set(config: TrainConfig) -> TaskSet:
    """The tasks that ``config`` names.

    Raises:
        PoolError: the pool is not one, or is damaged.
        TooFewTasksError: its split holds no task.
        BackendUnavailableError: the sandbox asked for is not to be had here.
    """
    pool = Pool(config.pool)
    tasks = pool.tasks(config.split)
    if not tasks:
        raise TooFewTasksError(
            f"{config.pool} holds no task in split {config.split!r}; build some, or set split = 'all'"
        )
    twins = [task.id for task in pool.twins(config.split)] if config.twin_episodes else []
    store = EnvironmentStore(select_backend(config.sandbox))
    bench = Workbench(pool, store)

    def make_env() -> SWEEnv:
        return SWEEnv(
            pool=pool,
            split=config.split,
            tasks=[*(task.id for task in tasks), *twins],
            max_steps=config.max_turns,
            command_timeout=config.command_timeout,
            tripwires=config.tripwires,
            store=store,
            agent=config.model,
        )

    def demonstrate(count: int) -> list[Script]:
        scripts = [oracle_script(bench, task) for task in tasks]
        return shortest(scripts, statements={task.id: task.statement.text for task in tasks}, count=count)

    return TaskSet(
        make_env=make_env,
        task_ids=[task.id for task in tasks],
        twin_ids=twins,
        demonstrate=demonstrate,
        sources=lambda: [*_sources(pool), *(task.statement.text for task in tasks)],
        unblocked=pool.unblocked,
    )


def _sources(pool: Pool) -> list[str]:
    """Python sources of the pool's environments, each path once, up to ``MAX_SOURCE_BYTES``."""
    texts: dict[tuple[str, str], str] = {}
    left = MAX_SOURCE_BYTES
    for environment in pool.environments():
        with tarfile.open(pool.path / "environments" / environment.id / "tree.tar.gz") as archive:
            for member in archive:
                key = (environment.repo, member.name)
                content = archive.extractfile(member) if member.isreg() and member.name.endswith(".py") else None
                if content is None or key in texts or member.size > left:
                    continue
                texts[key] = content.read().decode(errors="replace")
                left -= member.size
    return list(texts.values())
