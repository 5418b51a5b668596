"""A verifiers (v1) taskset and environment over ``SWEEnv``: ``vf-eval repodojo --env.taskset.pool POOL``.

The host plays the user, as in verifiers' own OpenEnv taskset: it opens the model's interaction with the prompt of an
episode, takes each reply as a turn, and answers with the observation. The episode's sandbox is ours, so the runtime of
the agent's program holds nothing of the task, and the chat harness without tools (``null``) is all that is needed.
verifiers finds plugins by the name of a top-level package, so ``repodojo`` shows these classes as its own.
"""

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import verifiers.v1 as vf
from verifiers.v1.harnesses.null import NullHarnessConfig
from verifiers.v1.runtimes import SubprocessConfig

from agent_env.async_env import AsyncSWEEnv
from agent_env.env import SWEEnv
from agent_env.grading.states import gold_edits
from tasks.errors import BadInputError, InfraError
from tasks.task import Split
from tasks.tree import Edits


class SWEData(vf.TaskData):
    """One task, as it is written into traces: ids alone, nothing of the answer."""

    pool: str
    split: str
    sandbox: str
    max_steps: int
    task_id: str


class SWETasksetConfig(vf.TasksetConfig):
    """Which tasks, and by which rules."""

    pool: str = ""
    """Directory of the pool."""
    split: str = "all"
    """all, train or test."""
    sandbox: str = "auto"
    """auto, bubblewrap or docker."""
    max_steps: int = 30
    """Turns of an episode."""


class SWETask(vf.Task[SWEData]):
    """One task: its reward, and the proof that it is sound."""

    @property
    def key(self) -> str:
        """The task's id, which stays the same when the pool grows."""
        return str(self.data.task_id)

    @vf.reward
    async def solved(self, trace: vf.Trace) -> float:
        """1 where the hidden tests passed; 0 where they did not, or the work was never submitted."""
        return float(trace.info.get("repodojo", {}).get("reward", 0.0))

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the gold patch earns 1 and the untouched start 0, in fresh sandboxes; ``runtime`` is not used."""
        del runtime
        return await asyncio.to_thread(self._is_sound)

    def _is_sound(self) -> bool:
        env = open_env(self.data.pool, self.data.split, self.data.sandbox, self.data.max_steps)
        task = next(task for task in env.tasks if task.id == self.data.task_id)
        states: tuple[Edits, ...] = (gold_edits(task, env.bench.build(task).tree), {})
        return [env.bench.grade(task, changes).reward for changes in states] == [1, 0]


class SWETaskset(vf.Taskset[SWETask, SWETasksetConfig]):
    """The tasks of a pool, in its order."""

    def load(self) -> Iterator[SWETask]:
        """Every task of the split.

        Raises:
            BadInputError: the pool cannot be read.
        """
        config = self.config
        if not config.pool:
            raise BadInputError("pool is empty; name the directory of a pool: --env.taskset.pool POOL")
        rules: dict[str, Any] = {"split": config.split, "sandbox": config.sandbox, "max_steps": config.max_steps}
        for task in open_env(config.pool, *rules.values()).tasks:
            data = SWEData(id=task.id, name=task.id, pool=config.pool, task_id=task.id, **rules)
            yield SWETask(data, config.task)


class SWEAgentEnvConfig(vf.EnvConfig):
    """The one seat."""

    agent: vf.AgentConfig = vf.AgentConfig(harness=NullHarnessConfig(id="null"), runtime=SubprocessConfig())
    """Who acts: the policy under evaluation or training. Its program only talks, so it may run on the host."""


class SWEAgentEnv(vf.Env[SWEAgentEnvConfig]):
    """One episode of ``SWEEnv`` for each rollout."""

    async def run(self, task: SWETask, agents: vf.Agents) -> None:
        """Play the episode.

        Raises:
            InfraError: the machine failed: verifiers records an error, and no reward.
        """
        data = task.data
        inner = open_env(data.pool, data.split, data.sandbox, data.max_steps).twin()
        async with AsyncSWEEnv(inner) as env:
            prompt, _ = await env.reset(options={"task_id": data.task_id})
            async with agents.agent.interaction(task) as interaction:
                segment = await interaction.turn(prompt)
                reward, done = 0.0, False
                while not (segment.terminated or done):
                    said, earned, *ends, _ = await env.step(segment.last_reply)
                    reward, done = float(earned), any(ends)
                    if not done:
                        segment = await interaction.turn(said)
                await env.close()
                info = inner.info()
                if info["masked"]:
                    raise InfraError(info["detail"])
                interaction.trace.info["repodojo"] = {"reward": reward, "outcome": info["outcome"]}


@cache
def open_env(pool: str, split: str, sandbox: str, max_steps: int) -> SWEEnv:
    """The environment to make twins of; opened once in a process.

    Raises:
        BadInputError: the pool, the split or the sandbox cannot be used.
    """
    known: tuple[Split, ...] = get_args(Split)
    for name in known:
        if name == split:
            return SWEEnv(pool=pool, split=name, sandbox=sandbox, max_steps=max_steps, agent="verifiers")
    raise BadInputError(f"split is {split!r}; expected one of {', '.join(known)}")
