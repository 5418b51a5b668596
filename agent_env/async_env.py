"""The environment for asyncio: the same episodes, stepped in threads, so that many can be awaited side by side.

    async with AsyncSWEEnv(SWEEnv(pool="pool")) as env:
        observation, info = await env.reset(seed=0)
        observation, reward, terminated, truncated, info = await env.step(action)

A task that is cancelled while it awaits a step leaves nothing behind: the command is killed, the episode is ended as
``LimitStopped("abandoned")`` and its sandbox closed before the cancellation goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, SupportsFloat, TypeVar

import gymnasium

from agent_env import given
from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.wrappers.base import inner_env
from tasks.errors import BadInputError

_T = TypeVar("_T")
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class AsyncSWEEnv:
    """One environment, bare or wrapped, behind awaitable ``reset``, ``step`` and ``close``.

    Args:
        env: taken over; ``env.twin()`` makes others that share its pool and its built environments.

    Raises:
        BadInputError: it is no ``RepoDojo/SWE-v0`` environment.
    """

    def __init__(self, env: gymnasium.Env[str, str]) -> None:
        self.env = env
        inner_env(env)  # refuses another kind
        # One for the turn, one to end it from.
        self._threads = ThreadPoolExecutor(2, "repodojo-async")
        self._running: asyncio.Future[Any] | None = None
        self._closed = False

    async def __aenter__(self) -> "AsyncSWEEnv":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """See ``SWEEnv.reset``. Cancelled while it builds an environment, it ends once that is built."""
        return await self._alone(partial(self.env.reset, seed=seed, options=options))

    async def step(self, action: str) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """See ``SWEEnv.step``. Cancelled while it grades, it ends once that is done, and the outcome stands.

        Raises:
            EpisodeError: another task is in ``step`` or ``reset``; that one goes on undisturbed.
        """
        return await self._alone(partial(self.env.step, action))

    async def fork(self, count: int = 1) -> list["AsyncSWEEnv"]:
        """See ``SWEEnv.fork``. Cancelled, it leaves no other environments, and ends this one's episode.

        Raises:
            BadInputError: as there, or the environment is wrapped.
        """
        inner = inner_env(self.env)
        if inner is not self.env:
            raise BadInputError(
                f"the environment is wrapped ({type(self.env).__name__}), and wrappers cannot be forked: fork "
                "`env.unwrapped`, and wrap each of the others"
            )
        made: list[SWEEnv] = []
        try:
            await self._alone(lambda: made.extend(inner.fork(count)))
        except asyncio.CancelledError:
            for env in made:
                env.close()
            raise
        return [AsyncSWEEnv(env) for env in made]

    async def close(self) -> None:
        """End the running episode, a running step too, and close its sandbox. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if await self._end_episode():
                raise asyncio.CancelledError
        finally:
            self._threads.shutdown(wait=False)

    async def _alone(self, work: Callable[[], _T]) -> _T:
        if self._closed:
            raise EpisodeError("the environment is closed: make another one")
        if self._running:
            raise EpisodeError("another task is stepping or resetting this environment: it takes one at a time")
        running = self._running = self._start(work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if self._closed:
                await _settle([running])  # who closes it ends the episode
            else:
                await self._end_episode()
            raise
        finally:
            self._running = None

    async def _end_episode(self) -> bool:
        """Return once nothing of the episode runs; True where this task was cancelled meanwhile."""
        running = [self._running] if self._running else []
        cancelled = await _settle([self._start(self.env.close), *running])
        # A reset that ran may have begun its episode after that.
        return await _settle([self._start(self.env.close)]) or cancelled

    def _start(self, work: Callable[[], _T]) -> "asyncio.Future[_T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


async def play_episodes(
    make_env: Callable[[], gymnasium.Env[str, str]],
    jobs: Iterable[_Job],
    play: Callable[[AsyncSWEEnv, _Job], Awaitable[_Result]],
    *,
    concurrency: int,
) -> list[_Result]:
    """Play one episode a job, so many side by side; results come in the order of the jobs.

    Args:
        make_env: makes an environment, as ``SWEEnv(pool="pool").twin`` does; called once for each of ``concurrency``.
        play: resets the environment it is given, steps it to the end, and returns what it wants to keep.

    Raises:
        ExceptionGroup: ``play`` raised; the other episodes were cancelled and closed.
    """
    given.whole_number("concurrency", concurrency)
    waiting = list(enumerate(jobs))[::-1]
    results: dict[int, _Result] = {}

    async def work() -> None:
        async with AsyncSWEEnv(make_env()) as env:
            while waiting:
                number, job = waiting.pop()
                results[number] = await play(env, job)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(waiting))):
            group.create_task(work())
    return [results[number] for number in sorted(results)]


async def _settle(futures: Iterable["asyncio.Future[Any]"]) -> bool:
    """Wait until all are done, however often this task is cancelled meanwhile; True where it was.

    What they raise is left alone: a sandbox that could not be removed is left to the reaper.
    """
    pending, cancelled = set(futures), False
    while pending:
        try:
            done, pending = await asyncio.wait(pending)
        except asyncio.CancelledError:
            cancelled = True
        else:
            for future in done:
                future.exception()  # taken note of, else asyncio complains
    return cancelled
