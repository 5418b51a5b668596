"""Token losses: pure functions from log-probabilities and advantages to a loss for each token, to be minimised.

Axes: B rows, T tokens. ``logprobs`` are the model's now, ``old`` the policy's that sampled; ``mask`` is True at trained
tokens; the ratio r is ``exp(logprobs - old)``. What stands at masked tokens never reaches the result or the gradient:
it may even be infinite. Reduction to a scalar is a step of its own (``reduction``).

Sources: PPO (arXiv 1707.06347), DAPO (2503.14476), dual clip (1912.09729), GSPO (2507.18071), CISPO (2506.13585), the
k3 estimator (http://joschu.net/blog/kl-approx.html).
"""

from collections.abc import Callable

import torch
from torch import Tensor

TokenLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(logprobs_B_T, old_B_T, advantages_B_T, mask_B_T) -> losses_B_T; advantages may also be of shape (B, 1)."""


def reinforce(logprobs_B_T: Tensor, old_B_T: Tensor, advantages_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """``-A · log π``: the plain policy gradient; with A = 1 the loss of supervised fine-tuning. ``old`` is not read."""
    del old_B_T
    return -advantages_B_T * _at(mask_B_T, logprobs_B_T)


def ppo_clip(
    logprobs_B_T: Tensor,
    old_B_T: Tensor,
    advantages_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """``-min(rA, clip(r, 1-ε_low, 1+ε_high)·A)``; with ``dual_clip`` c the loss is at most ``-cA`` where A < 0."""
    ratio_B_T = _at(mask_B_T, logprobs_B_T - old_B_T).exp()
    clipped_B_T = ratio_B_T.clamp(1 - epsilon_low, 1 + epsilon_high)
    losses_B_T = -torch.minimum(ratio_B_T * advantages_B_T, clipped_B_T * advantages_B_T)
    if dual_clip is not None:
        bounded_B_T = torch.minimum(losses_B_T, -dual_clip * advantages_B_T)
        losses_B_T = torch.where(advantages_B_T < 0, bounded_B_T, losses_B_T)
    return _at(mask_B_T, losses_B_T)


def gspo(
    logprobs_B_T: Tensor,
    old_B_T: Tensor,
    advantages_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    epsilon_low: float = 3e-4,
    epsilon_high: float = 4e-4,
) -> Tensor:
    """PPO's clip on one ratio a sequence, ``s = exp(mean_t log r_t)``; every token of the row bears the same loss."""
    log_ratio_B_T = _at(mask_B_T, logprobs_B_T - old_B_T)
    lengths_B_1 = mask_B_T.sum(dim=1, keepdim=True).clamp(min=1)
    ratio_B_1 = (log_ratio_B_T.sum(dim=1, keepdim=True) / lengths_B_1).exp()
    clipped_B_1 = ratio_B_1.clamp(1 - epsilon_low, 1 + epsilon_high)
    losses_B_T = -torch.minimum(ratio_B_1 * advantages_B_T, clipped_B_1 * advantages_B_T)
    return _at(mask_B_T, losses_B_T.expand_as(mask_B_T))


def cispo(
    logprobs_B_T: Tensor,
    old_B_T: Tensor,
    advantages_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    ratio_low: float = 0.0,
    ratio_high: float = 5.0,
) -> Tensor:
    """``-sg[clip(r, low, high)]·A·log π``: no token loses its gradient to the clip.

    The bounds are absolute. The defaults are TRL's cap of 5; (0.8, 1.2) is the band of verl, SkyRL, NeMo-RL and slime.
    """
    logprobs_B_T = _at(mask_B_T, logprobs_B_T)
    ratio_B_T = _at(mask_B_T, logprobs_B_T - old_B_T).exp().detach().clamp(ratio_low, ratio_high)
    return -ratio_B_T * advantages_B_T * logprobs_B_T


def k3(logprobs_B_T: Tensor, reference_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """The k3 estimate of KL(π‖π_ref): ``e^{-k1} + k1 - 1`` with ``k1 = log π - log π_ref``; never negative."""
    k1_B_T = _at(mask_B_T, logprobs_B_T - reference_B_T)
    return (-k1_B_T).exp() + k1_B_T - 1


def _at(mask_B_T: Tensor, values_B_T: Tensor) -> Tensor:
    """Values at trained tokens and constant zeros elsewhere, so that not even an infinity leaks into the gradient."""
    return torch.where(mask_B_T, values_B_T, torch.zeros_like(values_B_T))
