"""Gymnasium wrappers for ``RepoDojo/SWE-v0``. A limit of steps is ``max_steps``, or Gymnasium's own ``TimeLimit``."""

from agent_env.wrappers.history import HistoryWindow
from agent_env.wrappers.shaping import RewardShaping, Transition
from agent_env.wrappers.wall_clock import WallClockLimit

__all__ = ["HistoryWindow", "RewardShaping", "Transition", "WallClockLimit"]
