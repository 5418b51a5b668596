"""The two halves of a causal language model that trainer and sampler share: the decoder, and the vocabulary's logits.

Axes: B rows, T tokens, N chosen tokens, D hidden size, V vocabulary.

Not for models that change their logits after the projection (soft caps, scaling): sampler and trainer would still agree
with each other, but not with the model's own ``generate``.
"""

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel


def hidden_states(model: PreTrainedModel, tokens_B_T: Tensor, **inputs: Any) -> Tensor:
    """hidden_B_T_D of the last layer; ``inputs`` go to the decoder as they are."""
    decoder = model.get_decoder()  # type: ignore[no-untyped-call]
    hidden_B_T_D: Tensor = decoder(input_ids=tokens_B_T, **inputs).last_hidden_state
    return hidden_B_T_D


def project(model: PreTrainedModel, hidden_N_D: Tensor) -> Tensor:
    """logits_N_V."""
    logits_N_V: Tensor = model.get_output_embeddings()(hidden_N_D)  # type: ignore[no-untyped-call]
    return logits_N_V
