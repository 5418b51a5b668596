"""Tokens with their history: where each came from, how likely its sampler found it, and whether it is trained.

A trace only ever grows at its end. What was sampled is trained as it was sampled, never decoded and encoded again, and
each sampled token is trained exactly once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

SCRIPTED_VERSION = -1
"""Policy version of tokens that a script wrote (demonstrations): its log-probability of them is 0, as it is certain."""


class Origin(IntEnum):
    """Who wrote a token."""

    TEMPLATE = 0
    """The chat format: role markers and turn ends. Never trained."""
    OBSERVED = 1
    """The environment: prompts and tool output. Never trained."""
    SAMPLED = 2
    """The policy. The only tokens that a loss may touch."""


class TokenRecord(NamedTuple):
    """One token of a trace."""

    token: int
    origin: Origin
    logprob: float
    """Log-probability (nats) that the sampler gave it, at the sampling temperature; 0 for tokens not sampled."""
    version: int
    """Version of the policy that sampled it: optimiser steps since the start; 0 for tokens not sampled."""
    trainable: bool
    """Whether the loss counts it."""


@dataclass
class Trace:
    """The tokens of one episode in order, stored column by column."""

    tokens: list[int] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    trainable: list[bool] = field(default_factory=list)

    def add(self, tokens: Sequence[int], origin: Origin) -> None:
        """Append tokens that the policy did not write.

        Raises:
            ValueError: ``origin`` is SAMPLED; sampled tokens come with log-probabilities through ``add_sampled``.
        """
        if origin is Origin.SAMPLED:
            raise ValueError("sampled tokens need log-probabilities: use add_sampled")
        self._extend(tokens, origin, [0.0] * len(tokens), 0)

    def add_sampled(self, tokens: Sequence[int], logprobs: Sequence[float], *, version: int) -> None:
        """Append tokens that the policy wrote, each with the log-probability that its sampler gave it."""
        if len(tokens) != len(logprobs):
            raise ValueError(f"{len(tokens)} sampled tokens came with {len(logprobs)} log-probabilities")
        self._extend(tokens, Origin.SAMPLED, logprobs, version)

    def _extend(self, tokens: Sequence[int], origin: Origin, logprobs: Sequence[float], version: int) -> None:
        count = len(tokens)
        self.tokens += tokens
        self.origins += [origin] * count
        self.logprobs += logprobs
        self.versions += [version] * count
        self.trainable += [origin is Origin.SAMPLED] * count

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[TokenRecord]:
        columns = zip(self.tokens, self.origins, self.logprobs, self.versions, self.trainable, strict=True)
        return (TokenRecord(*record) for record in columns)

    @property
    def trained(self) -> int:
        """How many tokens the loss counts."""
        return sum(self.trainable)
