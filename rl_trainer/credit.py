"""From the rewards of a step's rollouts to weighted rows: advantages and reduction, over the whole step at once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from rl_trainer.advantages import advantages
from rl_trainer.algorithm import Algorithm
from rl_trainer.batch import Row
from rl_trainer.reduction import row_weights
from rl_trainer.rollout import Rollout


class Credit(NamedTuple):
    """Rows that carry a gradient, and how many groups do."""

    rows: list[Row]
    groups: int
    mixed_groups: int
    """Groups whose valid rewards, less penalties, are not all equal."""


def assign_credit(
    rollouts: Sequence[Rollout],
    groups: Sequence[int],
    algorithm: Algorithm,
    *,
    max_length: int,
    keep_all: bool,
    hack_penalty: float = 0.0,
) -> Credit:
    """Give each rollout its advantage and its weight in the step.

    Rollouts that the machine broke enter neither baseline nor denominator.

    Args:
        rollouts: all of the step.
        groups: the group of each.
        algorithm: which advantage and reduction.
        max_length: the most tokens that a rollout can train.
        keep_all: keep rows of zero advantage too; needed where the loss has a part besides the advantage (KL). Without
            it they are left out, as their gradient is zero; they count in the denominator all the same.
        hack_penalty: taken from the reward of a rollout in which the monitor saw anything, for the advantage alone.
    """
    valid_B = torch.tensor([not rollout.outcome.masked for rollout in rollouts])
    trained = [0 if rollout.outcome.masked else rollout.trace.trained for rollout in rollouts]
    advantages_B = advantages(
        torch.tensor([rollout.reward - hack_penalty * bool(rollout.events) for rollout in rollouts]),
        torch.tensor(groups),
        estimator=algorithm.estimator,
        lengths_B=torch.tensor(trained),
        valid_B=valid_B,
    )
    weights_B = row_weights(
        algorithm.reduction,
        lengths_B=torch.tensor(trained),
        rollouts_B=torch.arange(len(rollouts)),
        max_length=max_length,
    )
    rows = [
        Row(rollout.trace, advantage, weight)
        for rollout, advantage, weight in zip(rollouts, advantages_B.tolist(), weights_B.tolist(), strict=True)
        if weight > 0 and (advantage != 0 or keep_all)
    ]
    mixed = {group for group, advantage in zip(groups, advantages_B.tolist(), strict=True) if advantage != 0}
    return Credit(rows, len(set(groups)), len(mixed))
