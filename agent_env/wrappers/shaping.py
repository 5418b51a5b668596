"""Rewards other than the verified one, for training alone."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from tasks.errors import BadInputError


class Transition(NamedTuple):
    """One step, as the function that shapes its reward sees it."""

    action: str
    observation: str
    reward: float
    """The verified one."""
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]
    """As the environment gave it: ``passed_share``, ``outcome``, ``step``, ..."""


class RewardShaping(gymnasium.Wrapper[str, str, str, str], RecordConstructorArgs):
    """The reward of a step becomes what ``shape`` makes of it; ``info["reward"]`` keeps the verified one.

    A turn may cost something, and passing tests may earn something before all of them pass::

        RewardShaping(env, lambda step: step.reward - 0.01)
        RewardShaping(env, lambda step: 0.8 * step.reward + 0.2 * step.info["passed_share"])

    What is shaped is no longer proof of anything: report ``info["reward"]``. A step that the machine broke (``masked``)
    is not shaped.

    Args:
        shape: gets the step, gives its reward.
    """

    def __init__(self, env: gymnasium.Env[str, str], shape: Callable[[Transition], float]) -> None:
        if not callable(shape):
            raise BadInputError(f"shape is {shape!r}; expected a function from a Transition to a number")
        RecordConstructorArgs.__init__(self, shape=shape)
        super().__init__(env)
        self._shape = shape

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a turn.

        Raises:
            BadInputError: ``shape`` gave something that is not a finite number.
        """
        observation, given, terminated, truncated, info = self.env.step(action)
        reward = float(given)
        info = {**info, "reward": reward}
        if not info["masked"]:
            reward = self._shape(Transition(action, observation, reward, terminated, truncated, info))
            if not isinstance(reward, int | float) or not math.isfinite(reward):
                raise BadInputError(f"the shaped reward is {reward!r}; expected a finite number")
        return observation, float(reward), terminated, truncated, info
