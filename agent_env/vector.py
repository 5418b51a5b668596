"""Many environments stepped together: what ``gymnasium.make_vec("RepoDojo/SWE-v0", num_envs=N, pool=...)`` makes.

All share one pool and one store of built environments; each has an episode of its own. Turns run in threads, since the
work is done by the sandboxes' processes. Texts travel as Python strings, in tuples.

Episodes end at different times, and none begins by itself (``AutoresetMode.DISABLED``): reset those that have ended by
``reset(options={"reset_mask": mask})``, or go on with the others by giving None as the action of each that has ended.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from agent_env import given
from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.outcome import InfraFailed
from agent_env.vector_options import read_options, read_seeds
from agent_env.wrappers.base import inner_env
from tasks.errors import BadInputError, InfraError

MOST_THREADS = 128
"""Turns that run at the same time, unless the caller says otherwise."""

Observations = tuple[str, ...]
Actions = Sequence[str | None]
Arrays = npt.NDArray[Any]
_T = TypeVar("_T")


class _Step(NamedTuple):
    """What one sub-environment gave."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]


class SWEVectorEnv(gymnasium.vector.VectorEnv[Observations, Actions, Arrays]):
    """``num_envs`` environments over one pool.

    A sub-environment whose machine fails does not disturb the others: its step is truncated, ``infos["outcome"]`` says
    ``InfraFailed`` and ``infos["masked"]`` is True. Where it failed to start, ``reset`` says so in ``infos``, and the
    next step is that step.

    Args:
        num_envs: how many.
        wrap: applied to each sub-environment, as ``lambda env: HistoryWindow(env, turns=4)``; None leaves them bare.
        threads: how many take their turns at the same time; None means all, up to ``MOST_THREADS``.
        arguments: those of ``SWEEnv``.

    Raises:
        BadInputError: what of the arguments is wrong, and how to mend it.
    """

    metadata: dict[str, Any] = {**SWEEnv.metadata, "autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012 - as above

    def __init__(
        self,
        num_envs: int = 1,
        *,
        wrap: Callable[[gymnasium.Env[str, str]], gymnasium.Env[str, str]] | None = None,
        threads: int | None = None,
        **arguments: Any,
    ) -> None:
        given.whole_number("num_envs", num_envs)
        given.whole_number("threads", threads, or_none=True)
        if wrap is not None and not callable(wrap):
            raise BadInputError(f"wrap is {wrap!r:.100}; expected a function from an environment to one, or None")
        first = SWEEnv(**arguments)
        self._bare = [first, *(first.twin() for _ in range(num_envs - 1))]
        self.envs: list[gymnasium.Env[str, str]] = [wrap(env) if wrap else env for env in self._bare]
        for env in self.envs:
            inner_env(env)  # refuses another kind
        self.num_envs = num_envs
        self.render_mode = first.render_mode
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._observations = [""] * num_envs
        self._terminated = np.zeros(num_envs, dtype=np.bool_)
        self._truncated = np.zeros(num_envs, dtype=np.bool_)
        self._begun = np.zeros(num_envs, dtype=np.bool_)
        self._broken = np.zeros(num_envs, dtype=np.bool_)
        """Failed to start; the next step tells."""
        self._busy = threading.Lock()
        self._threads = ThreadPoolExecutor(threads or min(num_envs, MOST_THREADS), "repodojo-vector")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start new episodes; observations of sub-environments that are not reset stay as they were.

        Args:
            seed: one for each sub-environment, or a number that the first gets, the second gets that plus one, ...
            options: ``reset_mask`` (boolean array: which to reset; all where absent), ``task_id`` (the task of all of
                them, as for a group of attempts) or ``task_ids`` (one for each sub-environment, None leaves it to
                chance).

        Raises:
            BadInputError: such options, such tasks or such seeds there are not, or an environment cannot be built.
        """
        seeds = read_seeds(seed, self.num_envs)
        mask, ids = read_options(given.options(options), self.num_envs, {task.id for task in self._bare[0].tasks})

        def begin(number: int) -> tuple[str, dict[str, Any]]:
            wanted = None if ids[number] is None else {"task_id": ids[number]}
            try:
                return self.envs[number].reset(seed=seeds[number], options=wanted)
            except (InfraError, OSError):
                return "[the sandbox did not start]", self._bare[number].info()

        infos: dict[str, Any] = {}
        with self._alone():
            self._begun[mask] = False
            for number, (observation, info) in self._each(np.flatnonzero(mask), begin).items():
                self._observations[number] = observation
                self._terminated[number] = self._truncated[number] = False
                self._begun[number] = True
                self._broken[number] = self._has_failed(number)
                infos = self._add_info(infos, info, number)
            return tuple(self._observations), infos

    def step(self, actions: Actions) -> tuple[Observations, Arrays, Arrays, Arrays, dict[str, Any]]:
        """Take a turn in each sub-environment whose action is a text; one whose action is None stays as it is.

        What stays gets reward 0 and no infos, and keeps its observation and whether it has ended.

        Raises:
            EpisodeError: a text for a sub-environment that has not begun or has ended, or another step is running;
                nothing was run.
            BadInputError: not one text or None for each; nothing was run.
        """
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        infos: dict[str, Any] = {}
        with self._alone():
            chosen = self._check(actions)
            for number, step in self._each(chosen, lambda number: self._turn(number, actions[number])).items():
                self._observations[number], rewards[number] = step.observation, step.reward
                self._terminated[number], self._truncated[number] = step.terminated, step.truncated
                self._broken[number] = False
                infos = self._add_info(infos, dict(step.info), number)
            return tuple(self._observations), rewards, self._terminated.copy(), self._truncated.copy(), infos

    def render(self) -> tuple[Any, ...] | None:
        """The transcript of each, where ``render_mode`` is ``ansi``."""
        return tuple(env.render() for env in self.envs) if self.render_mode else None

    def close_extras(self, **kwargs: Any) -> None:
        """End every episode; running turns are ended too."""
        if not hasattr(self, "_threads"):
            return  # the constructor refused its arguments
        closing = [self._threads.submit(env.close) for env in self._bare]
        for env in self._bare:
            env.close()  # what runs in the pool's threads may be turns that only this ends
        self._threads.shutdown()
        for wrapped in self.envs:
            wrapped.close()  # a reset that ran may have begun its episode after that; and wrappers may hold something
        for done in closing:
            done.result()

    def _turn(self, number: int, action: str | None) -> _Step:
        if self._broken[number]:
            return _Step(self._observations[number], 0.0, False, True, self._bare[number].info())
        assert action is not None
        try:
            observation, reward, terminated, truncated, info = self.envs[number].step(action)
        except Exception:
            if not self._has_failed(number):
                raise
            # Ended as InfraFailed, with the error as its detail: no reason to lose the others' turns.
            return _Step("[the sandbox failed]", 0.0, False, True, self._bare[number].info())
        return _Step(observation, float(reward), terminated, truncated, info)

    def _check(self, actions: Actions) -> list[int]:
        """The numbers of those that take a turn."""
        # An array is no Sequence, and may well hold texts.
        is_list = isinstance(actions, Sequence | np.ndarray) and not isinstance(actions, str | bytes)
        length = len(actions) if is_list else None
        if length != self.num_envs:
            raise BadInputError(
                f"actions are {type(actions).__name__} of length {length}; expected one text or None for each "
                f"of the {self.num_envs} sub-environments"
            )
        for number, action in enumerate(actions):
            if not isinstance(action, str | None):
                raise BadInputError(f"action {number} is {type(action).__name__}; expected a text (str) or None")
        texts = np.array([action is not None for action in actions])
        ended = self._terminated | self._truncated
        for wrong, why in ((texts & ended, "have ended"), (~self._begun, "have not begun")):
            if wrong.any():
                raise EpisodeError(
                    f"sub-environments {np.flatnonzero(wrong).tolist()} {why}: reset them by "
                    "reset(options={'reset_mask': mask}); an ended one may also stay, with None as its action"
                )
        return [int(number) for number in np.flatnonzero(texts | (self._broken & ~ended))]

    def _each(self, numbers: Sequence[int] | Arrays, work: Callable[[int], _T]) -> dict[int, _T]:
        """The work done for each number, at the same time; the first error is raised once all have ended."""
        running: dict[int, Future[_T]] = {int(n): self._threads.submit(work, int(n)) for n in numbers}
        try:
            wait(running.values())
        except BaseException:  # an interrupt: nothing may run on unseen
            for future in running.values():
                future.cancel()
            for number in running:
                self._bare[number].close()
            wait(running.values())
            for number in running:
                self._bare[number].close()  # a reset that ran may have begun its episode after that
            raise
        return {number: _result(number, future) for number, future in running.items()}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.closed:
            raise EpisodeError("the vector environment is closed: make another one")
        if not self._busy.acquire(blocking=False):
            raise EpisodeError("another step or reset is running: a vector environment takes one at a time")
        try:
            yield
        finally:
            self._busy.release()

    def _has_failed(self, number: int) -> bool:
        episode = self._bare[number].episode
        return episode is not None and isinstance(episode.outcome, InfraFailed)


def _result(number: int, future: Future[_T]) -> _T:
    try:
        return future.result()
    except Exception as error:
        error.add_note(f"in sub-environment {number}")
        raise
