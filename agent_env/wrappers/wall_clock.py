"""A limit on the wall clock of a whole episode, the policy's thinking included."""

import time
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from agent_env import given
from agent_env.wrappers.base import inner_env


class WallClockLimit(gymnasium.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Ends an episode so many seconds after its ``reset``, by the host's clock, as ``LimitStopped("time")``.

    A command that runs at that moment is killed; a step that comes later runs nothing and is truncated. Work that was
    submitted in time is graded however long that takes. (``time_limit`` of the environment counts the seconds of the
    tools alone, so that a slow sampler does not change outcomes: this limit does.)

    Args:
        seconds: how long an episode may take.
    """

    def __init__(self, env: gymnasium.Env[str, str], seconds: float) -> None:
        given.seconds("seconds", seconds)
        RecordConstructorArgs.__init__(self, seconds=seconds)
        super().__init__(env)
        self._inner = inner_env(env)
        self._seconds = seconds

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode, and its clock once its sandbox stands."""
        begun = self.env.reset(seed=seed, options=options)
        episode = self._inner.episode
        assert episode is not None
        episode.deadline = time.monotonic() + self._seconds
        return begun
