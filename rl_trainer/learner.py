"""One optimiser step: gradients summed over micro-batches, clipped, applied.

Axes: B rows of a micro-batch, T tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rl_trainer.batch import MicroBatch
from rl_trainer.losses import TokenLoss, k3
from rl_trainer.scoring import token_logprobs

ADAM_BETAS = (0.9, 0.95)
"""A shorter memory of squared gradients than the default: runs here are short."""


class StepStats(NamedTuple):
    """What an optimiser step did."""

    loss: float
    gradient_norm: float
    """Before clipping."""
    ratio_off: float
    """Mean over trained tokens of |ratio - 1|: how far the policy has moved from the sampler's."""
    kl: float
    """Mean k3 estimate to the reference over trained tokens; 0 without a reference."""


class Learner:
    """A model with its optimiser.

    Args:
        model: trained in place.
        learning_rate: of AdamW.
        max_gradient_norm: longer gradients are cut to it.
        reference: frozen model of the KL penalty; None for none.
        kl_weight: of that penalty in the loss.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        learning_rate: float,
        max_gradient_norm: float = 1.0,
        reference: PreTrainedModel | None = None,
        kl_weight: float = 0.0,
    ) -> None:
        self.model, self.reference, self.kl_weight = model, reference, kl_weight
        self.max_gradient_norm = max_gradient_norm
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, betas=ADAM_BETAS, weight_decay=0.0, fused=True
        )

    def set_learning_rate(self, learning_rate: float) -> None:
        """Use another learning rate from now on."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def step(self, batches: Sequence[MicroBatch], loss: TokenLoss, *, temperature: float) -> StepStats:
        """Minimise the sum of the micro-batches' losses by one step; without micro-batches nothing changes."""
        if not batches:
            return StepStats(0.0, 0.0, 0.0, 0.0)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(3, dtype=torch.float64)
        for batch in batches:
            sums += self._accumulate(batch, loss, temperature)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        trained = sum(batch.trained for batch in batches)
        return StepStats(float(sums[0]), float(norm), float(sums[1]) / trained, float(sums[2]) / trained)

    def _accumulate(self, batch: MicroBatch, loss: TokenLoss, temperature: float) -> Tensor:
        """Add the micro-batch's gradient; the sums of loss, |ratio - 1| and KL."""
        logprobs_B_T = token_logprobs(self.model, batch.tokens_B_T, batch.mask_B_T, temperature=temperature)
        batch_loss = batch.total(loss(logprobs_B_T, batch.old_B_T, batch.advantages_B_1, batch.mask_B_T))
        kl_sum = logprobs_B_T.new_zeros(())
        if self.reference is not None:
            with torch.no_grad():
                reference_B_T = token_logprobs(
                    self.reference, batch.tokens_B_T, batch.mask_B_T, temperature=temperature
                )
            kl_B_T = k3(logprobs_B_T, reference_B_T, batch.mask_B_T)
            batch_loss = batch_loss + self.kl_weight * batch.total(kl_B_T)
            kl_sum = kl_B_T.detach().sum()
        batch_loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            off = ((logprobs_B_T - batch.old_B_T).exp() - 1).abs()[batch.mask_B_T].sum()
        return torch.stack([batch_loss.detach(), off, kl_sum]).double()
