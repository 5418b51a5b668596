"""One optimiser step: the gradient does not depend on how the batch was cut, and masked tokens have none."""

import copy
import random

import pytest
import torch
from torch import Tensor

from agent_env.outcome import InfraFailed, Outcome, Scored
from rl_trainer.algorithm import ALGORITHMS
from rl_trainer.batch import MicroBatch, Row, pack
from rl_trainer.credit import assign_credit
from rl_trainer.errors import SamplerMismatchError
from rl_trainer.learner import Learner
from rl_trainer.losses import reinforce
from rl_trainer.model import LanguageModel
from rl_trainer.rollout import Rollout
from rl_trainer.sampler_check import check_sampler, sampler_mismatch
from rl_trainer.scoring import token_logprobs
from rl_trainer.tokens import Origin, Trace

LENGTHS = [(5, 4), (9, 12), (3, 1), (17, 30), (5, 4), (8, 2)]


def make_trace(observed: int, sampled: int, rng: random.Random) -> Trace:
    trace = Trace()
    trace.add([rng.randrange(5, 200) for _ in range(observed)], Origin.OBSERVED)
    trace.add_sampled([rng.randrange(5, 200) for _ in range(sampled)], [-5.3] * sampled, version=0)
    trace.add([1, 4, 50], Origin.TEMPLATE)
    trace.add_sampled([60, 61], [-5.0, -5.1], version=0)
    return trace


def make_rollouts() -> list[Rollout]:
    rng = random.Random(0)
    rewards: list[Outcome] = [Scored(1.0), Scored(0.0), Scored(0.0), Scored(1.0), Scored(0.0), InfraFailed("disk")]
    return [
        Rollout("task", make_trace(*lengths, rng), outcome, 2, 0.0)
        for lengths, outcome in zip(LENGTHS, rewards, strict=True)
    ]


def gradient(language_model: LanguageModel, batches: list[MicroBatch], name: str) -> Tensor:
    """The whole gradient as one vector."""
    model = language_model.model
    model.zero_grad()
    for batch in batches:
        logprobs = token_logprobs(model, batch.tokens_B_T, batch.mask_B_T, temperature=1.0)
        loss = ALGORITHMS[name].loss(logprobs, batch.old_B_T, batch.advantages_B_1, batch.mask_B_T)
        batch.total(loss).backward()
    return torch.cat([weights.grad.flatten() for weights in model.parameters() if weights.grad is not None])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_gradient_does_not_depend_on_the_cut_nor_on_the_order(language_model: LanguageModel, name: str) -> None:
    rollouts = make_rollouts()
    credit = assign_credit(rollouts, [0, 0, 0, 1, 1, 1], ALGORITHMS[name], max_length=64, keep_all=False)
    whole = gradient(language_model, pack(credit.rows, budget=100_000), name)
    assert whole.abs().max() > 0
    for budget in (1, 40, 90):
        parts = pack(credit.rows[::-1], budget=budget)
        assert len(parts) > 1
        torch.testing.assert_close(gradient(language_model, parts, name), whole, atol=1e-6, rtol=1e-4)


def test_padding_changes_nothing(language_model: LanguageModel) -> None:
    [row] = [Row(make_trace(6, 9, random.Random(1)), 1.0, 0.25)]
    [batch] = pack([row], budget=1)
    wide = MicroBatch(
        *(torch.nn.functional.pad(grid, (0, 13)) for grid in (batch.tokens_B_T, batch.mask_B_T, batch.old_B_T)),
        batch.advantages_B_1,
        batch.weights_B_1,
    )
    narrow = gradient(language_model, [batch], "grpo")
    torch.testing.assert_close(gradient(language_model, [wide], "grpo"), narrow, atol=1e-7, rtol=1e-5)


def test_every_sampled_token_is_trained_exactly_once() -> None:
    rollouts = make_rollouts()
    credit = assign_credit(rollouts, [0, 0, 0, 1, 1, 1], ALGORITHMS["grpo"], max_length=64, keep_all=True)
    trained = sorted(
        token for batch in pack(credit.rows, budget=60) for token in batch.tokens_B_T[batch.mask_B_T].tolist()
    )
    sampled = sorted(
        record.token
        for rollout in rollouts
        if not rollout.outcome.masked
        for record in rollout.trace
        if record.origin is Origin.SAMPLED
    )
    assert trained == sampled


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_the_machine_broke_leaves_no_mark(language_model: LanguageModel, name: str) -> None:
    """The gradient of a step with a broken rollout is that of the step without it."""
    rollouts, groups = make_rollouts(), [0, 0, 0, 1, 1, 1]
    kept = [place for place, rollout in enumerate(rollouts) if not rollout.outcome.masked]
    with_it = assign_credit(rollouts, groups, ALGORITHMS[name], max_length=64, keep_all=False)
    without = assign_credit(
        [rollouts[place] for place in kept],
        [groups[place] for place in kept],
        ALGORITHMS[name],
        max_length=64,
        keep_all=False,
    )
    assert with_it == without
    assert all(row.trace is not rollouts[-1].trace for row in with_it.rows)


def test_groups_of_equal_reward_give_no_rows_but_count_in_the_denominator() -> None:
    rng = random.Random(0)
    rollouts = [Rollout("t", make_trace(3, 3, rng), Scored(reward), 1, 0.0) for reward in (1.0, 1.0, 1.0, 0.0)]
    credit = assign_credit(rollouts, [0, 0, 1, 1], ALGORITHMS["grpo"], max_length=64, keep_all=False)
    assert (len(credit.rows), credit.groups, credit.mixed_groups) == (2, 2, 1)
    assert credit.rows[0].weight == pytest.approx(1 / (4 * 5))


def test_a_step_without_a_gradient_changes_no_weight(language_model: LanguageModel) -> None:
    model = copy.deepcopy(language_model.model)
    stats = Learner(model, learning_rate=1.0).step([], reinforce, temperature=1.0)
    assert stats.gradient_norm == 0
    for before, after in zip(language_model.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(before, after)


def test_a_step_makes_good_tokens_likelier_and_bad_ones_less(language_model: LanguageModel) -> None:
    model = copy.deepcopy(language_model.model)
    rng = random.Random(3)
    rows = [Row(make_trace(6, 9, rng), advantage, 0.05) for advantage in (1.0, -1.0)]
    before = [sum_of_logprobs(model, row) for row in rows]
    Learner(model, learning_rate=1e-3).step(pack(rows, budget=500), reinforce, temperature=1.0)
    after = [sum_of_logprobs(model, row) for row in rows]
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_the_penalty_draws_back_to_the_reference(language_model: LanguageModel) -> None:
    model = copy.deepcopy(language_model.model)
    row = Row(make_trace(6, 9, random.Random(3)), 0.0, 0.05)
    Learner(model, learning_rate=1e-2).step(pack([Row(row.trace, 1.0, 0.05)], budget=500), reinforce, temperature=1.0)
    learner = Learner(model, learning_rate=1e-3, reference=language_model.model, kl_weight=1.0)
    first = learner.step(pack([row], budget=500), reinforce, temperature=1.0).kl
    for _ in range(10):
        last = learner.step(pack([row], budget=500), reinforce, temperature=1.0).kl
    assert 0 <= last < first / 2


def sum_of_logprobs(model: torch.nn.Module, row: Row) -> float:
    [batch] = pack([row], budget=1)
    with torch.no_grad():
        return float(token_logprobs(model, batch.tokens_B_T, batch.mask_B_T, temperature=1.0).sum())  # type: ignore[arg-type]


def test_the_first_token_of_a_row_cannot_be_trained(language_model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="first token"):
        token_logprobs(language_model.model, torch.ones(1, 3).long(), torch.ones(1, 3).bool(), temperature=1.0)


def test_stale_sampler_weights_are_noticed(language_model: LanguageModel) -> None:
    trace = make_trace(6, 9, random.Random(4))
    [batch] = pack([Row(trace, 1.0, 0.1)], budget=1)
    with torch.no_grad():
        true = token_logprobs(language_model.model, batch.tokens_B_T, batch.mask_B_T, temperature=0.8)[0].tolist()
    trace.logprobs = true
    assert sampler_mismatch(language_model.model, [trace], temperature=0.8) < 1e-5
    updated = copy.deepcopy(language_model.model)
    Learner(updated, learning_rate=1e-3).step([batch], reinforce, temperature=1.0)
    with pytest.raises(SamplerMismatchError, match=r"differ by .* nats"):
        check_sampler(updated, [trace], temperature=0.8)
    trace.logprobs[-1] = float("nan")
    with pytest.raises(SamplerMismatchError):
        check_sampler(language_model.model, [trace], temperature=0.8)
