"""Episodes against a real small environment: traces, limits, failures of the machine, scripts."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from agent_env.outcome import InfraFailed, LimitStopped, PolicyFault, Scored
from rl_trainer.chat import ChatFormat
from rl_trainer.collector import Collector
from rl_trainer.demonstrations import texts_of, to_trace
from rl_trainer.model import LanguageModel
from rl_trainer.policy.base import Sample, Sampling, StopReason
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.rollout import Limits
from rl_trainer.scripted import Script, play_scripts, shortest
from rl_trainer.text_env import read_outcome
from rl_trainer.tokens import SCRIPTED_VERSION, Origin
from tasks.errors import InfraError
from tests.rl_trainer.toy_words import WordEnv

LIMITS = Limits(context=64, turn_tokens=8, observation_tokens=32)


class ScriptedPolicy:
    """Says the words of a script, one a call and the same to every prompt; keeps the sizes of its batches."""

    def __init__(self, chat: ChatFormat, words: Sequence[str]) -> None:
        self.chat, self.words, self.batches = chat, list(words), [0][:0]
        self.seeds: list[int] = []

    async def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Sequence[Sample]:
        await asyncio.sleep(0)
        word = self.words[min(len(self.batches), len(self.words) - 1)]
        self.batches.append(len(prompts))
        self.seeds.append(sampling.seed)
        tokens = (*self.chat.encode(word), self.chat.end)
        room = min(sampling.context - len(prompt) for prompt in prompts)
        stop = StopReason.END if len(tokens) <= room else StopReason.CONTEXT
        return [Sample(tokens[:room], (-0.5,) * len(tokens[:room]), stop, 3) for _ in prompts]


def test_episodes_advance_together_and_places_are_refilled(chat: ChatFormat) -> None:
    policy = ScriptedPolicy(chat, ["apple", "pear", "fig", "plum"])
    with Collector(WordEnv, chat, LIMITS, concurrency=2) as collector:
        done = collector.collect(policy, ["say-apple", "say-pear", "say-fig"], temperature=1.0, seed=4)
    assert [rollout.task_id for rollout in done.rollouts] == ["say-apple", "say-pear", "say-fig"]
    assert [rollout.outcome for rollout in done.rollouts] == [Scored(1.0)] * 3
    assert [rollout.turns for rollout in done.rollouts] == [1, 2, 2]
    assert policy.batches == [2, 2, 1]
    assert len(set(policy.seeds)) == 3
    assert done.mean_reward == 1.0


def test_a_trace_is_the_conversation_and_trains_what_was_sampled(chat: ChatFormat) -> None:
    policy = ScriptedPolicy(chat, ["apple", "pear"])
    with Collector(WordEnv, chat, LIMITS) as collector:
        [rollout] = collector.collect(policy, ["say-fig"], temperature=1.0, seed=0).rollouts
    text = "<|user|>say fig<|end|><|assistant|>apple<|end|><|tool|>wrong, again<|end|><|assistant|>pear<|end|>"
    assert chat.tokenizer.decode(rollout.trace.tokens) == text
    assert rollout.outcome == LimitStopped("steps")
    trained = [record for record in rollout.trace if record.trainable]
    assert chat.decode([record.token for record in trained]) == "applepear"
    assert {(record.origin, record.logprob, record.version) for record in trained} == {(Origin.SAMPLED, -0.5, 3)}


def test_a_full_context_ends_the_episode_ungraded_and_closes_its_environment(chat: ChatFormat) -> None:
    envs: list[WordEnv] = []

    def make() -> WordEnv:
        envs.append(WordEnv(turns=99))
        return envs[-1]

    policy = ScriptedPolicy(chat, ["apple"])
    with Collector(make, chat, Limits(context=30, turn_tokens=8, observation_tokens=32)) as collector:
        [rollout] = collector.collect(policy, ["say-fig"], temperature=1.0, seed=0).rollouts
        assert rollout.outcome == LimitStopped("context")
        assert len(rollout.trace) <= 30 + 32
        assert envs[0].full == [None]
        assert [metrics.extra for metrics in envs[0].measured] == [{"policy_version": 3}] * rollout.turns
    assert rollout.reward == 0


def test_a_prompt_that_fills_the_context_is_never_sampled_from(chat: ChatFormat) -> None:
    policy = ScriptedPolicy(chat, ["apple"])
    with Collector(WordEnv, chat, Limits(context=4, turn_tokens=8, observation_tokens=32)) as collector:
        [rollout] = collector.collect(policy, ["say-fig"], temperature=1.0, seed=0).rollouts
    assert (rollout.outcome, rollout.turns, policy.batches) == (LimitStopped("context"), 0, [])


def test_what_the_machine_broke_is_tried_again_then_masked(chat: ChatFormat) -> None:
    broken = {"say-fig": 1, "say-plum": 2}
    told: list[str] = []
    with Collector(
        partial(WordEnv, broken=broken), chat, LIMITS, on_episode=lambda rollout: told.append(rollout.task_id)
    ) as collector:
        policy = ScriptedPolicy(chat, ["fig"])
        done = collector.collect(policy, ["say-fig", "say-plum", "say-pear"], temperature=1.0, seed=0)
    fig, plum, pear = done.rollouts
    assert fig.outcome == Scored(1.0)
    assert plum.outcome == InfraFailed("InfraError: the disk is on fire")
    assert pear.outcome == LimitStopped("steps")
    assert (done.retried, len(done.valid), done.mean_reward) == (2, 2, 0.5)
    assert sorted(told) == ["say-fig", "say-pear", "say-plum"]


def test_a_machine_that_breaks_everything_stops_the_run(chat: ChatFormat) -> None:
    env = partial(WordEnv, broken={"say-fig": 9})
    with Collector(env, chat, LIMITS) as collector, pytest.raises(InfraError, match=r"all 2 episodes: .*on fire"):
        collector.collect(ScriptedPolicy(chat, ["fig"]), ["say-fig", "say-fig"], temperature=1.0, seed=0)


def test_a_real_policy_gives_the_same_episodes_under_one_seed(language_model: LanguageModel, chat: ChatFormat) -> None:
    tasks = ["say-fig", "say-plum", "say-fig", "say-pear", "say-apple"]
    traces = []
    for _ in range(2):
        policy = TransformersPolicy(language_model.model, language_model.tokenizer, context=64, batch_size=4)
        with Collector(WordEnv, chat, LIMITS, concurrency=4) as collector:
            done = collector.collect(policy, tasks, temperature=1.0, seed=5)
        traces.append([rollout.trace.tokens for rollout in done.rollouts])
    assert traces[0] == traces[1]
    assert traces[0][0] != traces[0][2], "two episodes of one task differ"


def test_outcomes_are_read_from_the_last_step() -> None:
    def read(name: str, detail: str, reward: float = 0.0) -> object:
        return read_outcome(reward, {"outcome": name, "detail": detail})

    assert read("Scored", "why", 1.0) == Scored(1.0, "why")
    assert read("LimitStopped", "time") == LimitStopped("time")
    assert read("PolicyFault", "memory") == PolicyFault("memory")
    assert read("InfraFailed", "disk") == InfraFailed("disk")


def test_scripts_are_played_in_order_and_become_traces(chat: ChatFormat) -> None:
    scripts = [Script("say-fig", ["plum", "fig"]), Script("say-pear", ["pear"]), Script("say-plum", ["fig"])]
    fig, pear, plum = play_scripts(WordEnv, scripts, workers=2)
    assert (fig.outcome, pear.outcome, plum.outcome) == (Scored(1.0), Scored(1.0), LimitStopped("abandoned"))
    assert fig.turns == (("plum", "wrong, again"), ("fig", "right"))
    assert texts_of(fig) == ["say fig", "plum", "wrong, again", "fig", "right"]
    trace = to_trace(fig, chat, observation_tokens=32)
    text = "<|user|>say fig<|end|><|assistant|>plum<|end|><|tool|>wrong, again<|end|><|assistant|>fig<|end|>"
    assert chat.tokenizer.decode(trace.tokens) == text
    trained = [record for record in trace if record.trainable]
    assert chat.decode([record.token for record in trained]) == "plumfig"
    assert {(record.logprob, record.version) for record in trained} == {(0.0, SCRIPTED_VERSION)}


def test_a_script_that_the_machine_broke_is_played_again_once() -> None:
    env = partial(WordEnv, broken={"say-fig": 1, "say-plum": 2})
    fig, plum = play_scripts(env, [Script("say-fig", ["fig"]), Script("say-plum", ["plum"])])
    assert fig.outcome == Scored(1.0)
    assert plum.outcome.masked


def test_the_shortest_scripts_are_chosen() -> None:
    scripts = [Script("a", ["xxxx"]), Script("b", ["x", "x"]), Script("c", ["xxx"])]
    chosen = shortest(scripts, statements={"a": "", "b": "sss", "c": ""}, count=2)
    assert [script.task_id for script in chosen] == ["c", "a"]
