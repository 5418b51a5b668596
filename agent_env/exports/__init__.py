"""Trajectories in the file formats of other agents, for their viewers and data pipelines."""

from collections.abc import Callable
from typing import Any

from agent_env.atif import Trajectory
from agent_env.exports.mini_swe_agent import to_mini_swe_agent
from agent_env.exports.swe_agent import to_swe_agent

__all__ = ["EXPORTS", "to_mini_swe_agent", "to_swe_agent"]

EXPORTS: dict[str, tuple[Callable[[Trajectory], dict[str, Any]], str]] = {
    "swe-agent": (to_swe_agent, ".traj"),
    "mini-swe-agent": (to_mini_swe_agent, ".traj.json"),
}
"""Per format, what makes it and how its files end: the viewers find them by that."""
