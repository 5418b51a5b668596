"""Advantages against published values, and the properties that every estimator must have."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_trainer.advantages import ESTIMATORS, Estimator, advantages, grpo

GOLDEN_REWARDS = [1.0, 0, 0, 1, 0, 0, 0, 0]


def one_group(rewards: list[float], estimator: Estimator, lengths: list[int] | None = None) -> list[float]:
    count = len(rewards)
    found = advantages(
        torch.tensor(rewards),
        torch.zeros(count, dtype=torch.long),
        estimator=estimator,
        lengths_B=torch.tensor(lengths or [1] * count),
        valid_B=torch.ones(count, dtype=torch.bool),
    )
    return found.tolist()


@pytest.mark.parametrize(
    ("estimator", "success", "failure"),
    [
        (partial(grpo, epsilon=1e-4), 1.61984, -0.53995),
        (ESTIMATORS["grpo"], 1.62018, -0.54006),
        (partial(grpo, ddof=0), 1.73205, -0.57735),
        (ESTIMATORS["centred"], 0.75, -0.25),
        (ESTIMATORS["rloo"], 0.85714, -0.28571),
        (ESTIMATORS["maxrl"], 3.0, -1.0),
        (ESTIMATORS["loo_std"], 2.26778, -0.58554),
    ],
    ids=["trl", "verl", "ddof0", "dr_grpo", "rloo", "maxrl", "nemo_loo"],
)
def test_golden_group(estimator: Estimator, success: float, failure: float) -> None:
    expected = [success if reward else failure for reward in GOLDEN_REWARDS]
    assert one_group(GOLDEN_REWARDS, estimator) == pytest.approx(expected, abs=1e-5 if success < 3 else 1e-4)


def test_rloo_of_two_groups_as_published_by_skyrl() -> None:
    found = advantages(
        torch.tensor([6.0, 3, 9, 12]),
        torch.tensor([0, 0, 1, 1]),
        estimator=ESTIMATORS["rloo"],
        lengths_B=torch.ones(4),
        valid_B=torch.ones(4, dtype=torch.bool),
    )
    assert found.tolist() == pytest.approx([3, -3, -3, 3])


def test_a_lone_success_has_no_deviation_to_divide_by() -> None:
    assert one_group([1, 0, 0, 0], ESTIMATORS["loo_std"])[0] == pytest.approx(1.0)


def test_opo_weighs_the_baseline_by_length() -> None:
    assert one_group([1, 0], ESTIMATORS["opo"], lengths=[30, 10]) == pytest.approx([0.25, -0.75])


def test_batch_std_is_of_the_whole_step() -> None:
    rewards = torch.tensor([1.0, 0, 1, 1])
    found = advantages(
        rewards,
        torch.tensor([0, 0, 1, 1]),
        estimator=ESTIMATORS["grpo_batch_std"],
        lengths_B=torch.ones(4),
        valid_B=torch.ones(4, dtype=torch.bool),
    )
    assert found.tolist() == pytest.approx([1.0, -1.0, 0, 0], abs=1e-4)  # the standard deviation of the step is 0.5


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=40)
@given(reward=st.floats(-1e3, 1e3, allow_nan=False), count=st.integers(1, 9))
def test_equal_rewards_give_exact_zeros(name: str, reward: float, count: int) -> None:
    assert one_group([reward] * count, ESTIMATORS[name]) == [0.0] * count


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=40)
@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=8),
    broken=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_what_the_machine_broke_is_as_if_it_had_not_been(name: str, rewards: list[float], broken: list[bool]) -> None:
    """Dropping an invalid rollout, or marking it invalid with any reward, gives the others the same advantage."""
    valid = [not bad for bad in broken[: len(rewards)]]
    kept = [reward for reward, good in zip(rewards, valid, strict=True) if good]
    found = advantages(
        torch.tensor([reward if good else 1e9 for reward, good in zip(rewards, valid, strict=True)]),
        torch.zeros(len(rewards), dtype=torch.long),
        estimator=ESTIMATORS[name],
        lengths_B=torch.ones(len(rewards)),
        valid_B=torch.tensor(valid),
    ).tolist()
    assert [value for value, good in zip(found, valid, strict=True) if not good] == [0.0] * (len(rewards) - len(kept))
    rest = [value for value, good in zip(found, valid, strict=True) if good]
    assert rest == (one_group(kept, ESTIMATORS[name]) if kept else [])


@settings(max_examples=40)
@given(st.permutations(range(6)), st.sampled_from(sorted(ESTIMATORS)))
def test_the_order_of_rollouts_does_not_matter(order: list[int], name: str) -> None:
    rewards, groups = torch.tensor([1.0, 0, 0, 1, 1, 0]), torch.tensor([7, 7, 7, 3, 3, 3])
    lengths, valid = torch.tensor([3, 5, 2, 4, 9, 1]), torch.ones(6, dtype=torch.bool)
    straight = advantages(rewards, groups, estimator=ESTIMATORS[name], lengths_B=lengths, valid_B=valid)
    shuffled = advantages(
        rewards[order], groups[order], estimator=ESTIMATORS[name], lengths_B=lengths[order], valid_B=valid
    )
    assert shuffled.tolist() == pytest.approx(straight[order].tolist())
