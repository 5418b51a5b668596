"""Reduction: each mode against its definition, and weights that belong to the step, not to the cut."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_trainer.reduction import Reduction, row_weights

REDUCTIONS = get_args(Reduction)

LENGTHS = torch.tensor([2, 4, 0, 6])
ROLLOUTS = torch.tensor([0, 1, 2, 1])


def total(reduction: Reduction, row_sums: list[float]) -> float:
    weights = row_weights(reduction, lengths_B=LENGTHS, rollouts_B=ROLLOUTS, max_length=10)
    return float((weights * torch.tensor(row_sums, dtype=torch.float64)).sum())


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("grpo", (2 / 2 + 8 / 4 + 18 / 6) / 3),
        ("dapo", (2 + 8 + 18) / 12),
        ("dr_grpo", (2 + 8 + 18) / (3 * 10)),
        ("per_rollout", (2 / 2 + (8 + 18) / 10) / 2),
    ],
)
def test_definition(reduction: Reduction, expected: float) -> None:
    assert total(reduction, [2, 8, 0, 18]) == pytest.approx(expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_rows_without_trained_tokens_weigh_nothing_and_are_not_counted(reduction: Reduction) -> None:
    kept = torch.tensor([0, 1, 3])
    weights = row_weights(reduction, lengths_B=LENGTHS, rollouts_B=ROLLOUTS, max_length=10)
    without = row_weights(reduction, lengths_B=LENGTHS[kept], rollouts_B=ROLLOUTS[kept], max_length=10)
    assert weights[2].item() == 0
    assert weights[kept].tolist() == without.tolist()


def test_per_rollout_is_blind_to_how_a_trajectory_was_forked() -> None:
    whole = row_weights("per_rollout", lengths_B=torch.tensor([9, 3]), rollouts_B=torch.tensor([0, 1]))
    forked = row_weights("per_rollout", lengths_B=torch.tensor([4, 5, 3]), rollouts_B=torch.tensor([0, 0, 1]))
    assert forked.tolist() == [whole[0].item(), whole[0].item(), whole[1].item()]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_a_constant_token_loss_of_one_gives_one(lengths: list[int]) -> None:
    """A mean of ones is one, in every mode that is a mean."""
    lengths_B = torch.tensor(lengths)
    for reduction in ("grpo", "dapo", "per_rollout"):
        weights = row_weights(reduction, lengths_B=lengths_B, rollouts_B=torch.arange(len(lengths)))
        assert float((weights * lengths_B).sum()) == pytest.approx(1)


def test_dr_grpo_needs_the_longest_possible_row() -> None:
    with pytest.raises(ValueError, match="max_length=None"):
        row_weights("dr_grpo", lengths_B=LENGTHS, rollouts_B=ROLLOUTS)


def test_a_step_with_nothing_to_train_has_zero_weights() -> None:
    for reduction in REDUCTIONS:
        weights = row_weights(reduction, lengths_B=torch.zeros(3), rollouts_B=torch.arange(3), max_length=5)
        assert weights.tolist() == [0, 0, 0]
