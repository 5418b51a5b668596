"""Episodes whose turns are given beforehand: what an oracle or a no-op does, and the demonstrations for the warm start.

Light: loads no model library, so that oracle and no-op run without one.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from agent_env.outcome import InfraFailed, LimitStopped, Outcome
from agent_env.scripted import oracle_actions
from agent_env.tools.formats import DEFAULT_FORMAT
from agent_env.workbench import Workbench
from rl_trainer.text_env import EnvFactory, TextEnv, read_outcome
from tasks.errors import InfraError
from tasks.task import Task


class Script(NamedTuple):
    """What to do in one episode."""

    task_id: str
    actions: Sequence[str]


def oracle_script(bench: Workbench, task: Task, call_format: str = DEFAULT_FORMAT) -> Script:
    """What an agent that knows the gold patch does."""
    return Script(task.id, oracle_actions(task, bench.build(task).tree, call_format))


def shortest(scripts: Sequence[Script], *, statements: dict[str, str], count: int) -> list[Script]:
    """The ``count`` scripts that take the fewest characters, statement included: a small model's context is short."""

    def characters(script: Script) -> tuple[int, str]:
        return len(statements[script.task_id]) + sum(map(len, script.actions)), script.task_id

    return sorted(scripts, key=characters)[:count]


class ScriptedEpisode(NamedTuple):
    """A played script."""

    task_id: str
    prompt: str
    turns: tuple[tuple[str, str], ...]
    """What was said, and what came back; the last turn's answer is not shown to a policy."""
    outcome: Outcome
    seconds: float
    """Wall time."""


def play_scripts(
    make_env: EnvFactory,
    scripts: Sequence[Script],
    *,
    workers: int | None = None,
    on_episode: Callable[[ScriptedEpisode], None] = lambda episode: None,
    trajectories: Path | None = None,
) -> list[ScriptedEpisode]:
    """Play all scripts, several at once; one that the machine broke is played once more.

    Args:
        make_env: called once for each worker.
        scripts: one episode each.
        workers: episodes at once; None means one for each core.
        on_episode: called in a worker's thread with each finished episode.
        trajectories: folder for a file of each episode, one that is played again included; None writes none.

    Returns:
        The episodes in the order of their scripts. A script that runs out early is ``LimitStopped("abandoned")``.

    Raises:
        BadInputError: a task does not exist, or its environment cannot be built.
    """
    workers = max(1, min(workers or os.cpu_count() or 1, len(scripts)))
    envs = [make_env() for _ in range(workers)]
    free: SimpleQueue[TextEnv] = SimpleQueue()
    for env in envs:
        env.trajectories = trajectories
        free.put(env)

    def play(script: Script) -> ScriptedEpisode:
        env = free.get()
        try:
            episode = _play(env, script)
            if episode.outcome.masked:
                episode = _play(env, script)
        finally:
            free.put(env)
        on_episode(episode)
        return episode

    try:
        with ThreadPoolExecutor(workers, "script") as threads:
            running = [threads.submit(play, script) for script in scripts]
            try:
                return [future.result() for future in running]
            finally:
                for future in running:
                    future.cancel()
    finally:
        for env in envs:
            env.close()


def _play(env: TextEnv, script: Script) -> ScriptedEpisode:
    begun = time.monotonic()
    prompt, turns = "", []
    outcome: Outcome = LimitStopped("abandoned")
    try:
        prompt, _ = env.reset(options={"task_id": script.task_id})
        for action in script.actions:
            observation, reward, terminated, truncated, info = env.step(action)
            turns.append((action, observation))
            if terminated or truncated:
                outcome = read_outcome(reward, info)
                break
        else:
            env.close()
    except (InfraError, OSError) as error:
        outcome = InfraFailed(f"{type(error).__name__}: {error}")
    return ScriptedEpisode(script.task_id, prompt, tuple(turns), outcome, time.monotonic() - begun)
