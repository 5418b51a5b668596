"""Reduction: what one token's loss weighs in the step. The denominator is computed once, for the whole step.

Axes: B rows of the whole step. A weight belongs to a row; the step's loss is the sum over rows of weight times the sum
of that row's token losses. As a plain sum it cannot depend on micro-batches, padding, order or ranks.
"""

from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["grpo", "dapo", "dr_grpo", "per_rollout"]


def row_weights(
    reduction: Reduction, *, lengths_B: Tensor, rollouts_B: Tensor, max_length: int | None = None
) -> Tensor:
    """The weight of each row's tokens.

    ``grpo``: the mean over rows of each row's token mean. ``dapo``: the mean over all trained tokens. ``dr_grpo``: the
    sum over tokens, over rows times ``max_length``, so that length earns no discount. ``per_rollout``: rows of one
    rollout (a forked trajectory) share that rollout's weight: its token mean, then the mean over rollouts.

    Args:
        reduction: which of them.
        lengths_B: trained tokens of each row; rows of no tokens (such as those that the machine broke) do not count.
        rollouts_B: which rollout each row belongs to; read by ``per_rollout`` alone.
        max_length: the most tokens that a row can train; needed by ``dr_grpo`` alone.

    Returns:
        weights_B in float64.

    Raises:
        ValueError: ``dr_grpo`` without ``max_length``.
    """
    lengths_B = lengths_B.double()
    counted_B = lengths_B > 0
    rows = counted_B.sum().clamp(min=1)
    if reduction == "grpo":
        weights_B = 1 / (rows * lengths_B)
    elif reduction == "dapo":
        weights_B = 1 / lengths_B.sum().expand_as(lengths_B)
    elif reduction == "dr_grpo":
        if max_length is None or max_length < 1:
            raise ValueError(f"dr_grpo divides by the most tokens a row can train: got max_length={max_length}")
        weights_B = 1 / (rows * max_length).double().expand_as(lengths_B)
    else:
        same_B_B = (rollouts_B[:, None] == rollouts_B[None, :]).double()
        rollout_lengths_B = same_B_B @ lengths_B
        rollouts = len(set(rollouts_B[counted_B].tolist()))
        weights_B = 1 / (max(rollouts, 1) * rollout_lengths_B)
    return torch.where(counted_B, weights_B, torch.zeros_like(weights_B))
