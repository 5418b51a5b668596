"""The seam to what samples: prompts of tokens in, sampled tokens with their log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol


class StopReason(Enum):
    """Why a sample ended."""

    END = "end"
    """A stop token was sampled; it is the sample's last token."""
    STOP_TEXT = "stop_text"
    """The decoded text came to hold a stop text."""
    MAX_TOKENS = "max_tokens"
    """The sample reached ``Sampling.max_tokens``."""
    CONTEXT = "context"
    """Prompt and sample together reached ``Sampling.context``."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to sample."""

    max_tokens: int
    """The most tokens of one sample."""
    context: int
    """The most tokens of a prompt and its sample together."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Sample from the smallest set of tokens with this much probability; keep 1 where the tokens are trained on, as
    log-probabilities are those of the full distribution."""
    stop_tokens: tuple[int, ...] = ()
    """Tokens that end a sample."""
    stop_texts: tuple[str, ...] = ()
    """Texts that end a sample once it holds one of them."""
    seed: int = 0
    """Same seed, prompts and weights: same samples."""


class Sample(NamedTuple):
    """What the policy wrote after one prompt."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of each token, in nats, at the sampling temperature (at temperature 1 where that is 0)."""
    stop: StopReason
    version: int
    """Version of the weights that sampled it."""


class Policy(Protocol):
    """A sampler: a model in this process or a server."""

    async def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Sequence[Sample]:
        """One sample for each prompt, in their order.

        Raises:
            InfraError: the machine or the server failed.
        """
        ...
