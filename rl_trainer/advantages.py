"""Advantages: how much better each rollout did than the others of its group. Pure functions of rewards.

Axes: B rollouts of the whole step, G rollouts of one group.

A rollout that the machine broke (``valid`` False) takes no part: it enters no baseline and its advantage is 0. A group
whose rewards are all equal gives exact zeros under every estimator. Formulas and conventions: DeepSeekMath
(arXiv 2402.03300), Dr. GRPO (2503.20783), RLOO (2402.14740), Lite-PPO (2508.08221), OPO (2505.23585).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to a divisor, as verl, SkyRL and slime do; TRL adds 1e-4."""


class Group(NamedTuple):
    """The valid rollouts of one group, and the standard deviation over the whole step."""

    rewards_G: Tensor
    lengths_G: Tensor
    """Sampled tokens of each rollout."""
    batch_std: Tensor
    """Standard deviation (ddof 1) of the rewards of all valid rollouts of the step; a scalar."""


Estimator = Callable[[Group], Tensor]
"""From a group of at least two rollouts, not all of equal reward, to its advantages_G."""


def centred(group: Group) -> Tensor:
    """Reward less the group's mean (Dr. GRPO): dividing by the deviation would overweight groups nearly all equal."""
    return group.rewards_G - group.rewards_G.mean()


def grpo(group: Group, *, epsilon: float = EPSILON, ddof: int = 1) -> Tensor:
    """Centred reward over the group's standard deviation."""
    return centred(group) / (group.rewards_G.std(correction=ddof) + epsilon)


def grpo_batch_std(group: Group, *, epsilon: float = EPSILON) -> Tensor:
    """Centred reward over the standard deviation of the whole step (Lite-PPO; TRL's ``scale_rewards="batch"``)."""
    return centred(group) / (group.batch_std + epsilon)


def rloo(group: Group) -> Tensor:
    """Reward less the mean of the others: an unbiased baseline."""
    return group.rewards_G - _others_mean(group.rewards_G)


def loo_std(group: Group, *, epsilon: float = EPSILON) -> Tensor:
    """Reward less the mean of the others, over the others' deviation where they differ (NeMo-RL).

    Does not sum to zero; a lone success among equals has no deviation to divide by and stays as it is.
    """
    rewards_G = group.rewards_G
    count = len(rewards_G)
    off_diagonal_G_G = ~torch.eye(count, dtype=torch.bool, device=rewards_G.device)
    others_G_G1 = rewards_G.expand(count, count)[off_diagonal_G_G].view(count, count - 1)
    if count < 3:
        return rloo(group)
    std_G = others_G_G1.std(dim=1, correction=1)
    centred_G = rewards_G - others_G_G1.mean(dim=1)
    return torch.where(std_G > 0, centred_G / (std_G + epsilon), centred_G)


def maxrl(group: Group, *, epsilon: float = EPSILON) -> Tensor:
    """Centred reward over the group's mean: rare successes weigh more. Meant for rewards of 0 and above."""
    return centred(group) / (group.rewards_G.mean() + epsilon)


def opo(group: Group) -> Tensor:
    """Reward less the length-weighted mean: the baseline of least variance where gradient grows with length."""
    lengths_G = group.lengths_G.to(group.rewards_G.dtype)
    return group.rewards_G - (lengths_G * group.rewards_G).sum() / lengths_G.sum().clamp(min=1)


ESTIMATORS: dict[str, Estimator] = {
    "grpo": grpo,
    "grpo_batch_std": grpo_batch_std,
    "centred": centred,
    "rloo": rloo,
    "loo_std": loo_std,
    "maxrl": maxrl,
    "opo": opo,
}


def advantages(
    rewards_B: Tensor, groups_B: Tensor, *, estimator: Estimator, lengths_B: Tensor, valid_B: Tensor
) -> Tensor:
    """The advantage of every rollout of a step; groups may differ in size and lie in any order.

    Args:
        rewards_B: reward of each rollout; what stands at an invalid one is not read.
        groups_B: which group each rollout belongs to (any integers).
        estimator: one of ``ESTIMATORS``.
        lengths_B: sampled tokens of each rollout.
        valid_B: False where the machine failed.

    Returns:
        advantages_B in float64; 0 at invalid rollouts, in groups of one, and in groups of equal rewards.
    """
    rewards_B = rewards_B.double()
    advantages_B = torch.zeros_like(rewards_B)
    valid_rewards = rewards_B[valid_B]
    batch_std = valid_rewards.std(correction=1) if len(valid_rewards) > 1 else rewards_B.new_zeros(())
    for group in sorted(set(groups_B[valid_B].tolist())):
        members_B = (groups_B == group) & valid_B
        rewards_G = rewards_B[members_B]
        if rewards_G.min() < rewards_G.max():
            advantages_B[members_B] = estimator(Group(rewards_G, lengths_B[members_B], batch_std))
    return advantages_B


def _others_mean(rewards_G: Tensor) -> Tensor:
    return (rewards_G.sum() - rewards_G) / (len(rewards_G) - 1)
