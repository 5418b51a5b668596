"""Whether sampler and trainer hold the same weights: some of a step's tokens are scored again by the trainer.

Run before each optimiser step, on tokens just sampled. A sampler that missed a weight update, or a trainer that reads
tokens differently (padding, positions, temperature), shows here; reward curves would hide it.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from rl_trainer.batch import Row, to_tensors
from rl_trainer.errors import SamplerMismatchError
from rl_trainer.scoring import token_logprobs
from rl_trainer.tokens import Trace

PROBES = 4
"""Traces scored again, the shortest: the cost is a few hundredths of a step."""

TOLERANCE = 1e-2
"""Largest difference (nats) accepted. In float32 honest differences stay near 1e-5; one update moves tokens by more."""


def sampler_mismatch(model: PreTrainedModel, traces: Sequence[Trace], *, temperature: float) -> float:
    """Largest absolute difference (nats) between the sampler's and the trainer's log-probability of one token."""
    probes = sorted((trace for trace in traces if trace.trained), key=len)[:PROBES]
    if not probes:
        return 0.0
    batch = to_tensors([Row(trace, advantage=0.0, weight=0.0) for trace in probes])
    with torch.inference_mode():
        again_B_T = token_logprobs(model, batch.tokens_B_T, batch.mask_B_T, temperature=temperature).cpu()
    return float((again_B_T - batch.old_B_T)[batch.mask_B_T].abs().max())


def check_sampler(
    model: PreTrainedModel, traces: Sequence[Trace], *, temperature: float, tolerance: float = TOLERANCE
) -> float:
    """``sampler_mismatch``, refused above ``tolerance``.

    Raises:
        SamplerMismatchError: the difference is above it, or is not a number.
    """
    found = sampler_mismatch(model, traces, temperature=temperature)
    if not found <= tolerance:
        raise SamplerMismatchError(
            f"sampler and trainer differ by {found:.3g} nats on a token (tolerance {tolerance:.3g}): the sampler does "
            "not hold the trainer's weights, or scores tokens in another way. Nothing was trained on this step."
        )
    return found
