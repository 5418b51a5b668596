"""From rollouts to tensors: rows, then micro-batches of rows of like length.

Axes: B rows of a micro-batch, T tokens. Column t of every tensor speaks of token t of the row; padding is on the right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rl_trainer.tokens import Trace


@dataclass(frozen=True)
class Row:
    """One trace with all that the loss needs to know of it; its weight already holds the whole step's denominator."""

    trace: Trace
    advantage: float
    weight: float


@dataclass(frozen=True)
class MicroBatch:
    """Rows as tensors."""

    tokens_B_T: Tensor
    mask_B_T: Tensor
    """True at trained tokens."""
    old_B_T: Tensor
    """The sampler's log-probabilities; 0 where not trained."""
    advantages_B_1: Tensor
    weights_B_1: Tensor

    @property
    def trained(self) -> int:
        """Trained tokens."""
        return int(self.mask_B_T.sum())

    def total(self, losses_B_T: Tensor) -> Tensor:
        """What the micro-batch adds to the step's loss; masked losses are left out whatever they are."""
        return (torch.where(self.mask_B_T, losses_B_T, torch.zeros_like(losses_B_T)) * self.weights_B_1).sum()


def pack(rows: Sequence[Row], *, budget: int) -> list[MicroBatch]:
    """Cut rows into micro-batches of at most ``budget`` padded tokens each (a longer row has one to itself).

    Rows are sorted by length, so that little is padding. Rows without trained tokens are left out.
    """
    rows = sorted((row for row in rows if row.trace.trained), key=lambda row: len(row.trace))
    batches: list[list[Row]] = []
    for row in rows:
        if batches and (len(batches[-1]) + 1) * len(row.trace) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return [to_tensors(batch) for batch in batches]


def to_tensors(rows: Sequence[Row]) -> MicroBatch:
    """Rows padded on the right to the longest."""
    width = max(len(row.trace) for row in rows)

    def grid(columns: Sequence[Sequence[float]], dtype: torch.dtype) -> Tensor:
        padded = [list(column) + [0] * (width - len(column)) for column in columns]
        return torch.tensor(padded, dtype=dtype)

    traces = [row.trace for row in rows]
    return MicroBatch(
        tokens_B_T=grid([trace.tokens for trace in traces], torch.long),
        mask_B_T=grid([trace.trainable for trace in traces], torch.bool),
        old_B_T=grid([trace.logprobs for trace in traces], torch.float32),
        advantages_B_1=torch.tensor([[row.advantage] for row in rows], dtype=torch.float32),
        weights_B_1=torch.tensor([[row.weight] for row in rows], dtype=torch.float32),
    )
