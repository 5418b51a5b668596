"""The environment for asyncio: the same results, side by side, and nothing left behind by what is cancelled."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from agent_env.async_env import AsyncSWEEnv, play_episodes
from agent_env.env import SWEEnv
from agent_env.episode import Episode
from agent_env.errors import EpisodeError
from agent_env.outcome import LimitStopped
from agent_env.sandbox.base import Sandbox
from agent_env.sandbox.residence import residence_base
from agent_env.spaces import TextSpace
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from agent_env.wrappers import HistoryWindow
from tasks.errors import BadInputError, PoolError
from tasks.pool import Pool
from tasks.task import Task
from tests.agent_env.turns import bash


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


@pytest.fixture
def env(bare_pool: Pool, store: EnvironmentStore) -> SWEEnv:
    return SWEEnv(pool=bare_pool, store=store)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a turn runs."""
    event, turn = threading.Event(), Episode.turn

    def announced(episode: Episode, action: str) -> object:
        event.set()
        return turn(episode, action)

    monkeypatch.setattr(Episode, "turn", announced)
    return event


async def wait_for(event: threading.Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.01)


def residences() -> set[Path]:
    """Those of this process: the folder is everybody's."""
    return set(residence_base().glob(f"{os.getpid()}-*"))


@in_loop
async def test_the_same_as_without_asyncio(env: SWEEnv) -> None:
    with env.twin() as plain:
        wanted = [plain.reset(seed=3), plain.step(bash("ls")), plain.step("garbage")]
    async with AsyncSWEEnv(env) as awaited:
        assert [await awaited.reset(seed=3), await awaited.step(bash("ls")), await awaited.step("garbage")] == wanted
    assert env.episode is not None
    assert env.episode.outcome == LimitStopped("abandoned")
    await awaited.close()


@in_loop
async def test_a_wrapped_one(env: SWEEnv) -> None:
    async with AsyncSWEEnv(HistoryWindow(env)) as awaited:
        prompt, _ = await awaited.reset()
        assert (await awaited.step(bash("echo hi")))[0].startswith(prompt)


def test_another_environment_is_refused() -> None:
    class Other(gymnasium.Env[str, str]):
        observation_space = action_space = TextSpace()

    with pytest.raises(BadInputError, match="got Other"):
        AsyncSWEEnv(Other())


@in_loop
async def test_two_tasks_at_once(env: SWEEnv, begun: threading.Event) -> None:
    async with AsyncSWEEnv(env) as awaited:
        await awaited.reset()
        slow = asyncio.create_task(awaited.step(bash("sleep 0.4; echo slow")))
        await wait_for(begun)
        for refused in (awaited.step(bash("true")), awaited.reset()):
            with pytest.raises(EpisodeError, match="takes one at a time"):
                await refused
        assert (await slow)[0] == "slow"
        assert (await awaited.step(bash("echo fine")))[0] == "fine"


@in_loop
async def test_out_of_order(env: SWEEnv) -> None:
    async with AsyncSWEEnv(env) as awaited:
        with pytest.raises(EpisodeError, match="call reset"):
            await awaited.step(bash("true"))
    with pytest.raises(EpisodeError, match="is closed"):
        await awaited.reset()


@in_loop
async def test_an_error_of_a_reset(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks(bare_pool.tasks())
    async with AsyncSWEEnv(SWEEnv(pool=pool, store=store)) as awaited:
        with pytest.raises(PoolError, match="is missing"):
            await awaited.reset()


class TestCancelled:
    @in_loop
    async def test_a_step(self, env: SWEEnv, begun: threading.Event) -> None:
        before = residences()
        async with AsyncSWEEnv(env) as awaited:
            await awaited.reset()
            step = asyncio.create_task(awaited.step(bash("sleep 1000") + bash("echo never")))
            await wait_for(begun)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert env.episode is not None
            assert env.episode.outcome == LimitStopped("abandoned")
            assert residences() <= before
            with pytest.raises(EpisodeError, match="has ended"):
                await awaited.step(bash("true"))
            await awaited.reset()
            assert (await awaited.step(bash("echo hi")))[0] == "hi"

    @in_loop
    async def test_a_step_past_its_timeout(self, env: SWEEnv) -> None:
        async with AsyncSWEEnv(env) as awaited:
            await awaited.reset()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await awaited.step(bash("sleep 1000"))
            assert env.episode is not None
            assert env.episode._sandbox is None

    @in_loop
    async def test_a_step_cancelled_twice(self, env: SWEEnv, begun: threading.Event) -> None:
        async with AsyncSWEEnv(env) as awaited:
            await awaited.reset()
            step = asyncio.create_task(awaited.step(bash("sleep 1000")))
            await wait_for(begun)
            step.cancel()
            await asyncio.sleep(0)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert env.episode is not None
            assert env.episode._sandbox is None

    @in_loop
    async def test_a_reset(self, env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        opening, go_on, opened = threading.Event(), threading.Event(), []

        def slowly(task: Task, *, packages: object) -> Sandbox:
            opening.set()
            go_on.wait(30)
            opened.append(Workbench.open(env.bench, task))
            return opened[0]

        monkeypatch.setattr(env.bench, "open", slowly)
        before = residences()
        async with AsyncSWEEnv(env) as awaited:
            reset = asyncio.create_task(awaited.reset())
            await wait_for(opening)
            reset.cancel()
            await asyncio.sleep(0.05)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await reset
            assert len(opened) == 1
            assert residences() <= before

    @in_loop
    async def test_close_ends_a_running_step(self, env: SWEEnv, begun: threading.Event) -> None:
        awaited = AsyncSWEEnv(env)
        await awaited.reset()
        step = asyncio.create_task(awaited.step(bash("sleep 1000")))
        await wait_for(begun)
        await awaited.close()
        *_, truncated, info = await step
        assert truncated
        assert info["detail"] == "abandoned"


class TestPlayEpisodes:
    @in_loop
    async def test_results_in_order_and_no_more_than_asked_at_once(self, env: SWEEnv) -> None:
        running, most, envs = 0, 0, set()

        async def play(awaited: AsyncSWEEnv, word: str) -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            envs.add(awaited.env)
            await awaited.reset()
            said = await awaited.step(bash(f"sleep 0.05; echo {word}"))
            running -= 1
            return said[0]

        words = [f"w{number}" for number in range(7)]
        assert await play_episodes(env.twin, words, play, concurrency=3) == words
        assert (most, len(envs)) == (3, 3)

    @in_loop
    async def test_an_error_ends_the_others(self, env: SWEEnv) -> None:
        before = residences()

        async def play(awaited: AsyncSWEEnv, number: int) -> None:
            await awaited.reset()
            if number == 1:
                raise KeyError("mine")
            await awaited.step(bash("sleep 1000"))

        with pytest.RaisesGroup(KeyError):
            await play_episodes(env.twin, range(3), play, concurrency=3)
        assert residences() <= before

    @in_loop
    async def test_bad_arguments(self, env: SWEEnv) -> None:
        async def play(awaited: AsyncSWEEnv, number: int) -> None:
            pass

        with pytest.raises(BadInputError, match="concurrency is 0"):
            await play_episodes(env.twin, [1], play, concurrency=0)
        assert await play_episodes(env.twin, [], play, concurrency=2) == []
