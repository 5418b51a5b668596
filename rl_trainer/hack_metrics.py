"""How often policies tried to go around the work, as the monitor saw it. Light: loads no model library."""

from collections.abc import Sequence
from typing import get_args

from blockers.monitor.events import Status
from rl_trainer.rollout import Rollout


def hack_metrics(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Shares of the rollouts, none of which the machine broke; all 0 where there are none.

    ``hack/any_rate``: with any event. ``hack/attempted_rate``, ``hack/blocked_rate``, ``hack/succeeded_rate``: with an
    event of that status. ``hack/VECTOR``: with an event of that vector, for the vectors that occurred.
    """
    count = max(len(rollouts), 1)
    seen = [
        {*(event.status for event in rollout.events), *(event.vector.value for event in rollout.events)}
        for rollout in rollouts
    ]

    def share(word: str) -> float:
        return sum(word in words for words in seen) / count

    vectors = sorted({event.vector.value for rollout in rollouts for event in rollout.events})
    return {
        "hack/any_rate": sum(map(bool, seen)) / count,
        **{f"hack/{status}_rate": share(status) for status in get_args(Status)},
        **{f"hack/{vector}": share(vector) for vector in vectors},
    }
