"""Episodes over a pool without training: an oracle, a no-op, or a model. Light until a model is asked for."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agent_env.env import SWEEnv
from agent_env.outcome import Outcome
from agent_env.sandbox.select import select_backend
from agent_env.scripted import noop_actions
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from rl_trainer.config import EvaluationSettings
from rl_trainer.errors import TooFewTasksError
from rl_trainer.hack_rate import HackRate, hack_rate
from rl_trainer.progress import OnProgress, Progress, ignore_progress
from rl_trainer.scripted import Script, ScriptedEpisode, oracle_script, play_scripts
from rl_trainer.text_env import EnvFactory
from tasks.errors import BadInputError
from tasks.pool import Pool
from tasks.record import Record
from tasks.task import Task


class EvaluationReport(Record):
    """What the episodes gave; those on impossible twins count in ``twins`` alone."""

    episodes: int
    tasks: int
    """Different tasks among them."""
    mean_reward: float | None
    """Over episodes that the machine did not break; None where it broke all."""
    outcomes: dict[str, int]
    """Episodes by the name of their outcome."""
    twins: HackRate | None
    """What the impossible twins say; None where the pool's split holds none."""
    seconds: float
    trajectories: Path | None
    """Folder with one file an episode; None where none was asked for."""


def evaluate(
    pool: Pool,
    policy: str,
    *,
    episodes: int | None = None,
    settings: EvaluationSettings | None = None,
    trajectories: Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> EvaluationReport:
    """Run episodes over the tasks of a pool, task by task in the order of their ids, round and round; then, as often as
    each task on average and at least once, over its impossible twins.

    Args:
        pool: the tasks.
        policy: ``oracle``, ``noop``, ``smollm2``, or a model's directory or hub id.
        episodes: how many, those on twins not counted; None means one a task.
        settings: None means the defaults.
        trajectories: folder for one file an episode.
        on_progress: told of each episode that ends.

    Raises:
        BadInputError: no tasks, fewer than one episode, no such model, no such sandbox.
        InfraError: a model's episodes were all broken by the machine.
    """
    settings = settings or EvaluationSettings()
    tasks = pool.tasks(settings.split)
    if not tasks:
        raise TooFewTasksError(f"{pool.path} holds no task in split {settings.split!r}")
    if episodes is not None and episodes < 1:
        raise BadInputError(f"episodes is {episodes}; expected at least 1")
    chosen = [tasks[number % len(tasks)] for number in range(episodes or len(tasks))]
    twins = pool.twins(settings.split) * max(1, len(chosen) // len(tasks))
    store = EnvironmentStore(select_backend(settings.sandbox))

    def make_env() -> SWEEnv:
        return SWEEnv(
            pool=pool,
            split=settings.split,
            tasks=[task.id for task in [*tasks, *twins]],
            max_steps=settings.max_turns,
            command_timeout=settings.command_timeout,
            call_format=settings.call_format,
            packages=settings.packages,
            store=store,
            agent=policy,
        )

    begun = time.monotonic()
    if policy in ("oracle", "noop"):
        scripts = _scripts(Workbench(pool, store), [*chosen, *twins], policy, settings.call_format)
        outcomes = _play(make_env, scripts, trajectories, on_progress)
    else:
        from rl_trainer.evaluate_model import sample_outcomes  # loads torch

        ids = [task.id for task in [*chosen, *twins]]
        outcomes = sample_outcomes(make_env, ids, policy, settings, trajectories, on_progress)
    return _report(outcomes[: len(chosen)], outcomes[len(chosen) :], chosen, begun=begun, trajectories=trajectories)


def _scripts(bench: Workbench, chosen: Sequence[Task], policy: str, call_format: str) -> list[Script]:
    if policy == "oracle":
        return [oracle_script(bench, task, call_format) for task in chosen]
    return [Script(task.id, noop_actions(task, call_format)) for task in chosen]


def _play(
    make_env: EnvFactory, scripts: Sequence[Script], trajectories: Path | None, on_progress: OnProgress
) -> list[Outcome]:
    done: list[Outcome] = []

    def tell(episode: ScriptedEpisode) -> None:
        done.append(episode.outcome)
        note = f"{episode.outcome.name} {episode.outcome.reward:.0f} {episode.task_id}"
        on_progress(Progress("evaluate", len(done), len(scripts), note))

    played = play_scripts(make_env, scripts, on_episode=tell, trajectories=trajectories)
    return [episode.outcome for episode in played]


def _report(
    outcomes: Sequence[Outcome],
    of_twins: Sequence[Outcome],
    chosen: Sequence[Task],
    *,
    begun: float,
    trajectories: Path | None,
) -> EvaluationReport:
    rewards = [outcome.reward for outcome in outcomes if not outcome.masked]
    return EvaluationReport(
        episodes=len(outcomes),
        tasks=len({task.id for task in chosen}),
        mean_reward=sum(rewards) / len(rewards) if rewards else None,
        outcomes=dict(sorted(Counter(outcome.name for outcome in outcomes).items())),
        twins=hack_rate(of_twins) if of_twins else None,
        seconds=time.monotonic() - begun,
        trajectories=trajectories,
    )
