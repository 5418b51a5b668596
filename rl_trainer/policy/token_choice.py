"""One sampling step: from logits to a chosen token and its log-probability.

Axes: B rows, V vocabulary.
"""

import torch
from torch import Tensor


def choose_tokens(
    logits_B_V: Tensor, *, temperature: float, top_p: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sampled tokens_B and their logprobs_B under the tempered distribution, before any cut by ``top_p``."""
    logprobs_B_V = (logits_B_V.float() / (temperature or 1.0)).log_softmax(dim=-1)
    if temperature == 0:
        tokens_B = logprobs_B_V.argmax(dim=-1)
    else:
        kept_B_V = logprobs_B_V.exp() if top_p >= 1 else _nucleus(logprobs_B_V.exp(), top_p)
        tokens_B = torch.multinomial(kept_B_V, 1, generator=generator)[:, 0]
    return tokens_B, logprobs_B_V.gather(1, tokens_B[:, None])[:, 0]


def _nucleus(probs_B_V: Tensor, top_p: float) -> Tensor:
    """Zero all but the smallest set of likeliest tokens whose sum reaches ``top_p``; the likeliest always stays."""
    sorted_B_V, order_B_V = probs_B_V.sort(dim=-1, descending=True)
    before_B_V = sorted_B_V.cumsum(dim=-1) - sorted_B_V
    return torch.zeros_like(probs_B_V).scatter(1, order_B_V, sorted_B_V.masked_fill(before_B_V >= top_p, 0.0))
