"""Runs many episodes at once: all take a turn together, so that sampling is one batch; environments step in threads.

An episode that ends gives its place to the next that waits. One that the machine broke is run once more; if it breaks
again it comes back as ``InfraFailed``, which everything downstream leaves out and counts.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from rl_trainer.chat import ChatFormat
from rl_trainer.policy.base import Policy, Sample, Sampling
from rl_trainer.rollout import Limits, LiveEpisode, Rollout
from rl_trainer.text_env import EnvFactory, TextEnv
from tasks.errors import InfraError

_SEED_STRIDE = 1_000_003
"""Seeds of two collections never meet, however many rounds of turns each has."""


class Collected(NamedTuple):
    """Episodes in the order in which they were asked for."""

    rollouts: list[Rollout]
    retried: int
    """How many were run a second time because the machine had failed."""

    @property
    def valid(self) -> list[Rollout]:
        """Those that the machine did not break."""
        return [rollout for rollout in self.rollouts if not rollout.outcome.masked]

    @property
    def mean_reward(self) -> float:
        """Over the valid ones; there is at least one."""
        return sum(rollout.reward for rollout in self.valid) / len(self.valid)


def ignore_episode(rollout: Rollout) -> None:
    """Tell nobody."""
    del rollout


class Collector:
    """Environments and threads for up to ``concurrency`` episodes at once. Close it, or use it as a context manager.

    Args:
        make_env: makes an environment; called at most ``concurrency`` times.
        chat: how conversations become tokens.
        limits: bounds of an episode.
        concurrency: episodes at once; the policy's batch size is the best value.
        on_episode: called in the calling thread with each finished episode, for progress.
        trajectories: folder for a file of each episode, one that is run again included; None writes none. May be
            changed between collections, as ``on_episode`` may.
    """

    def __init__(
        self,
        make_env: EnvFactory,
        chat: ChatFormat,
        limits: Limits,
        *,
        concurrency: int = 16,
        on_episode: Callable[[Rollout], None] = ignore_episode,
        trajectories: Path | None = None,
    ) -> None:
        self.chat, self.limits, self.on_episode, self.trajectories = chat, limits, on_episode, trajectories
        self._make_env, self._concurrency = make_env, concurrency
        self._envs: list[TextEnv] = []
        # Tools are processes that keep a core busy: more threads than cores only stretch the time of each command.
        self._threads = ThreadPoolExecutor(min(concurrency, max(2, os.cpu_count() or 1)), "env")

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs and free the threads."""
        self._threads.shutdown(cancel_futures=True)
        for env in self._envs:
            env.close()

    def collect(self, policy: Policy, task_ids: Sequence[str], *, temperature: float, seed: int) -> Collected:
        """One episode of each named task, acted by ``policy``; a task may be named several times.

        Raises:
            BadInputError: a task does not exist, or its environment cannot be built.
            InfraError: the machine failed under every episode.
        """
        rounds = count()

        async def act(live: Sequence[LiveEpisode]) -> Sequence[Sample]:
            sampling = Sampling(
                max_tokens=self.limits.turn_tokens,
                context=self.limits.context,
                temperature=temperature,
                stop_tokens=(self.chat.end,),
                seed=seed * _SEED_STRIDE + next(rounds),
            )
            return await policy.generate([episode.trace.tokens for episode in live], sampling)

        return asyncio.run(self._collect(task_ids, act))

    async def _collect(self, task_ids: Sequence[str], act: "_Act") -> Collected:
        rollouts = await self._play(task_ids, act)
        broken = [place for place, rollout in enumerate(rollouts) if rollout.outcome.masked]
        again = await self._play([task_ids[place] for place in broken], act)
        for place, rollout in zip(broken, again, strict=True):
            rollouts[place] = rollout
            if rollout.outcome.masked:
                self.on_episode(rollout)
        if task_ids and all(rollout.outcome.masked for rollout in rollouts):
            raise InfraError(f"the machine failed under all {len(rollouts)} episodes: {rollouts[0].outcome.detail}")
        return Collected(rollouts, len(broken))

    async def _play(self, task_ids: Sequence[str], act: "_Act") -> list[Rollout]:
        """Run episodes turn by turn until all have ended."""
        waiting = list(enumerate(task_ids))[::-1]
        free = self._environments(len(task_ids))
        live: dict[int, LiveEpisode] = {}
        finished: dict[int, Rollout] = {}
        while waiting or live:
            starting = {}
            while waiting and free:
                place, task_id = waiting.pop()
                starting[place] = LiveEpisode(free.pop(), self.chat, task_id, self.limits)
            await self._in_threads([episode.begin for episode in starting.values()])
            live |= starting
            playing = {place: episode for place, episode in live.items() if not episode.outcome}
            samples = await act(list(playing.values())) if playing else []
            await self._in_threads(
                [partial(episode.advance, sample) for episode, sample in zip(playing.values(), samples, strict=True)]
            )
            for place in [place for place, episode in live.items() if episode.outcome]:
                episode = live.pop(place)
                free.append(episode.env)
                finished[place] = episode.finish()
                if not finished[place].outcome.masked:
                    self.on_episode(finished[place])
        return [finished[place] for place in range(len(task_ids))]

    def _environments(self, wanted: int) -> list[TextEnv]:
        while len(self._envs) < min(wanted, self._concurrency):
            self._envs.append(self._make_env())
        for env in self._envs:
            env.trajectories = self.trajectories
        return list(self._envs)

    async def _in_threads(self, calls: Sequence[Callable[[], None]]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, call) for call in calls))


_Act = Callable[[Sequence[LiveEpisode]], Awaitable[Sequence[Sample]]]
