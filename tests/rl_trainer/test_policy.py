"""Sampling in process: log-probabilities are the model's own, whatever the batch, the slots and the turn."""

import asyncio
from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from rl_trainer.chat import ChatFormat
from rl_trainer.model import LanguageModel
from rl_trainer.policy.base import Sample, Sampling, StopReason
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.policy.kv_slots import KVSlots
from rl_trainer.policy.token_choice import choose_tokens
from rl_trainer.scoring import token_logprobs
from tasks.errors import BadInputError

CONTEXT = 96
PROMPTS = [[2, 40, 41, 42], [2, 50], [2, 40, 41, 42], [2, *range(60, 90)], [2, 40, 41, 43, 44]]


def sampling(**changes: object) -> Sampling:
    return Sampling(**({"max_tokens": 12, "context": CONTEXT, "seed": 1} | changes))  # type: ignore[arg-type]


def generate(policy: TransformersPolicy, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sample]:
    return list(asyncio.run(policy.generate(prompts, how)))


def mismatch(model: PreTrainedModel, prompt: Sequence[int], sample: Sample, temperature: float = 1.0) -> float:
    tokens = torch.tensor([[*prompt, *sample.tokens]])
    mask = torch.arange(tokens.shape[1])[None] >= len(prompt)
    with torch.no_grad():
        scored = token_logprobs(model, tokens, mask, temperature=temperature)[0, len(prompt) :]
    return float((scored - torch.tensor(sample.logprobs)).abs().max())


@pytest.fixture
def policy(language_model: LanguageModel) -> TransformersPolicy:
    return TransformersPolicy(language_model.model, language_model.tokenizer, context=CONTEXT, batch_size=4)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_the_models_own_over_turns_and_batches(policy: TransformersPolicy, temperature: float) -> None:
    """Three turns, five ragged prompts of which two are equal, four slots; rows stop at different times."""
    prompts = PROMPTS
    for turn in range(3):
        how = sampling(temperature=temperature, seed=turn, stop_tokens=tuple(range(100, 160)))
        samples = generate(policy, prompts, how)
        assert len({len(sample.tokens) for sample in samples}) > 1, "rows were to stop at different times"
        for prompt, sample in zip(prompts, samples, strict=True):
            assert mismatch(policy.model, prompt, sample, temperature) < 1e-4
        prompts = [[*prompt, *sample.tokens, 3, 45 + turn] for prompt, sample in zip(prompts, samples, strict=True)]
        prompts = prompts[::-1]  # slots are found by content, not by place


def test_long_prompts_run_in_chunks(policy: TransformersPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_trainer.policy.in_process.PREFILL_CHUNK", 7)
    for prompt, sample in zip(PROMPTS, generate(policy, PROMPTS, sampling()), strict=True):
        assert mismatch(policy.model, prompt, sample) < 1e-4


def test_the_same_seed_gives_the_same_samples_and_another_gives_others(policy: TransformersPolicy) -> None:
    first = generate(policy, PROMPTS, sampling())
    policy.weights_changed(0)
    assert [sample.tokens for sample in generate(policy, PROMPTS, sampling())] == [sample.tokens for sample in first]
    assert generate(policy, PROMPTS, sampling(seed=10**30)) != first


def test_cached_prompts_give_the_same_likeliest_tokens(policy: TransformersPolicy) -> None:
    greedy = sampling(temperature=0)
    fresh = generate(policy, PROMPTS, greedy)
    cached = generate(policy, PROMPTS, greedy)
    assert [sample.tokens for sample in cached] == [sample.tokens for sample in fresh]


def test_every_way_to_stop(policy: TransformersPolicy, chat: ChatFormat) -> None:
    [free] = generate(policy, [[2, 40]], sampling())
    assert (len(free.tokens), free.stop) == (12, StopReason.MAX_TOKENS)
    [ended] = generate(policy, [[2, 40]], sampling(stop_tokens=(free.tokens[4],)))
    assert ended.stop is StopReason.END
    assert ended.tokens == free.tokens[: free.tokens.index(free.tokens[4]) + 1]
    [full] = generate(policy, [[2, 40]], sampling(context=7))
    assert (len(full.tokens), full.stop) == (5, StopReason.CONTEXT)
    text = chat.decode(free.tokens[:3])
    [texted] = generate(policy, [[2, 40]], sampling(stop_texts=(text,)))
    assert texted.stop is StopReason.STOP_TEXT
    assert text in chat.decode(texted.tokens)
    assert text not in chat.decode(texted.tokens[:-1])


@pytest.mark.parametrize("prompt", [[], [5] * CONTEXT])
def test_prompts_without_room_are_refused(policy: TransformersPolicy, prompt: list[int]) -> None:
    with pytest.raises(BadInputError, match=f"has {len(prompt)} tokens; expected 1 to {CONTEXT - 1}"):
        generate(policy, [prompt], sampling())


def test_samples_carry_the_version_of_the_weights(policy: TransformersPolicy) -> None:
    policy.weights_changed(7)
    assert generate(policy, [[2, 40]], sampling())[0].version == 7


def test_temperature_shapes_the_distribution() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]]).expand(20_000, 3)
    generator = torch.Generator().manual_seed(0)
    tokens, logprobs = choose_tokens(logits, temperature=0.5, top_p=1.0, generator=generator)
    expected = (logits[0] / 0.5).softmax(0)
    assert (tokens.bincount(minlength=3) / 20_000).tolist() == pytest.approx(expected.tolist(), abs=0.01)
    assert logprobs.exp()[:50].tolist() == pytest.approx(expected[tokens[:50]].tolist(), abs=1e-5)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log().expand(2_000, 3)
    for top_p, kept in ((0.4, {0}), (0.49, {0}), (0.6, {0, 1}), (0.81, {0, 1, 2})):
        generator = torch.Generator().manual_seed(0)
        tokens, _ = choose_tokens(logits, temperature=1.0, top_p=top_p, generator=generator)
        assert set(tokens.tolist()) == kept


def test_slots_are_assigned_by_what_they_hold(language_model: LanguageModel) -> None:
    slots = KVSlots(language_model.model.config, slots=3, positions=10)
    slots.held = [[1, 2, 3], [4, 5], []]
    slots.assign([[4, 5, 6], [1, 2, 9, 9]])
    assert slots.held == [[4, 5], [1, 2], []]
    slots.assign([[4, 5]])
    assert slots.held[0] == [4], "one token is left to run, as its logits are needed"
