"""The environment as rollouts see it: texts in, texts out. Light: loads no model library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent_env.atif import Metrics
from agent_env.outcome import InfraFailed, LimitStopped, Outcome, PolicyFault, Scored
from blockers.monitor.events import Event


class TextEnv(Protocol):
    """What of ``agent_env.env.SWEEnv`` a rollout uses. One environment runs one episode at a time."""

    trajectories: Path | None
    """Folder that gets a file of each episode that begins from now on; None: no file is written."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the episode of ``options["task_id"]``; the prompt comes back."""
        ...

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One turn: observation, reward, terminated, truncated, info with ``outcome``, ``masked``, ``detail``, and
        ``events`` where a monitor watches."""
        ...

    def measure(self, metrics: Metrics) -> None:
        """What sampling the latest action gave, with the whole prompt's token ids, for the episode's file, if any; also
        once the episode has ended."""
        ...

    def context_full(self, unplayed: str | None = None) -> None:
        """End the running episode, if any, since the policy can read no more; ``unplayed`` is what it wrote last where
        the context ended before it did."""
        ...

    def close(self) -> None:
        """End the running episode, if any."""
        ...


EnvFactory = Callable[[], TextEnv]
"""Makes an environment; each runs one episode at a time, several run side by side."""


def read_events(info: dict[str, Any]) -> tuple[Event, ...]:
    """What the monitor had seen by a step; none where no monitor watches."""
    return tuple(Event.model_validate(event) for event in info.get("events", ()))


def read_outcome(reward: float, info: dict[str, Any]) -> Outcome:
    """The outcome that the last step of an episode told."""
    name, detail = info["outcome"], info.get("detail", "")
    if name == Scored.name:
        return Scored(reward, detail)
    kinds: dict[str, Callable[[str], Outcome]] = {
        LimitStopped.name: LimitStopped,  # type: ignore[dict-item]  # the environment's own limits are all in Limit
        PolicyFault.name: PolicyFault,
        InfraFailed.name: InfraFailed,
    }
    return kinds[name](detail)
