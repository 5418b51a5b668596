"""Files of real episodes of a real model: its tokens as it read and wrote them, whatever ended the episode."""

import copy
from pathlib import Path

import pytest

from agent_env.atif import Metrics, Trajectory
from agent_env.env import SWEEnv
from agent_env.errors import SandboxError
from agent_env.exports import EXPORTS
from agent_env.outcome import LimitStopped, Outcome
from agent_env.replay import replay
from agent_env.sandbox.base import Sandbox
from agent_env.store import EnvironmentStore
from agent_env.token_ids import tokens_of
from agent_env.tools import Observation, ToolCall
from agent_env.tools.toolbox import Toolbox
from agent_env.trajectory import read_trajectory
from agent_env.workbench import Workbench
from rl_trainer.chat import ChatFormat
from rl_trainer.collector import Collected, Collector
from rl_trainer.model import LanguageModel
from rl_trainer.policy.base import Sample, StopReason
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.rollout import Limits, LiveEpisode
from rl_trainer.sampler_check import sampler_mismatch
from rl_trainer.tokens import Origin, Trace
from tasks.pool import Pool
from tests.rl_trainer.caller import CONTEXT, TASK

VERSION = 7
Column = tuple[int, bool, float, int]
"""Token, whether it was sampled, log probability, policy version."""


@pytest.fixture
def policy(caller: LanguageModel) -> TransformersPolicy:
    made = TransformersPolicy(caller.model, caller.tokenizer, context=CONTEXT, batch_size=3)
    made.weights_changed(VERSION)
    return made


class Player:
    """Plays episodes of ``TASK`` with the model, three at once, into a folder."""

    def __init__(self, pool: Pool, store: EnvironmentStore, policy: TransformersPolicy, folder: Path) -> None:
        self.pool, self.store, self.policy, self.folder = pool, store, policy, folder
        self.chat = ChatFormat.of(policy.tokenizer)

    def env(self) -> SWEEnv:
        return SWEEnv(pool=self.pool, store=self.store, max_steps=5)

    def play(self, episodes: int, *, context: int = CONTEXT, temperature: float = 1.0) -> Collected:
        limits = Limits(context=context, turn_tokens=64, observation_tokens=128)
        with Collector(self.env, self.chat, limits, concurrency=3, trajectories=self.folder) as collector:
            return collector.collect(self.policy, [TASK] * episodes, temperature=temperature, seed=1)

    def prompt_length(self) -> int:
        with self.env() as env:
            return len(self.chat.open(env.reset(options={"task_id": TASK})[0]))

    def files(self) -> list[Trajectory]:
        return [read_trajectory(path) for path in sorted(self.folder.glob("*.json"))]


@pytest.fixture
def player(bare_pool: Pool, store: EnvironmentStore, policy: TransformersPolicy, tmp_path: Path) -> Player:
    return Player(bare_pool, store, policy, tmp_path / "episodes")


def as_trace(trajectory: Trajectory) -> Trace:
    """The trace that a file tells; who wrote what was not sampled is not told."""
    trace = Trace()
    for number, step in enumerate(trajectory.steps, 1):
        if step.metrics is None:
            continue
        read = tokens_of(trajectory.steps[:number])
        tokens, logprobs = step.metrics.completion_token_ids, step.metrics.logprobs
        assert tokens
        assert logprobs
        assert step.metrics.extra
        assert step.metrics.completion_tokens == len(tokens)
        assert step.metrics.prompt_tokens == len(read) - len(tokens)
        assert read[: len(trace)] == trace.tokens
        trace.add(read[len(trace) : -len(tokens)], Origin.OBSERVED)
        trace.add_sampled(tokens, logprobs, version=step.metrics.extra["policy_version"])
    return trace


def columns(trace: Trace) -> list[Column]:
    """The trace up to its last sampled token: nobody was asked to go on from what comes after."""
    records = [(one.token, one.origin is Origin.SAMPLED, one.logprob, one.version) for one in trace]
    sampled = [place for place, record in enumerate(records) if record[1]]
    return records[: sampled[-1] + 1] if sampled else []


def ends(outcome: Outcome) -> tuple[str, str, float]:
    return outcome.name, outcome.detail, outcome.reward


def assert_files_tell(collected: Collected, files: list[Trajectory]) -> None:
    """One file for each rollout, with its tokens, log probabilities and versions, and its outcome."""
    told = []
    for trajectory in files:
        extra = trajectory.extra or {}
        told.append((columns(as_trace(trajectory)), (extra["outcome"], extra["detail"], extra["reward"])))
    assert sorted(told) == sorted((columns(rollout.trace), ends(rollout.outcome)) for rollout in collected.rollouts)


def assert_can_be_used(trajectory: Trajectory, player: Player) -> None:
    """It replays as it was, and goes into every other format."""
    report = replay(trajectory, Workbench(player.pool, player.store))
    assert report.difference is None
    for export, _ in EXPORTS.values():
        assert export(trajectory)["info"]["model_stats"]["tokens_received"] > 0


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_file_tells_the_tokens_of_its_episode(player: Player, caller: LanguageModel, temperature: float) -> None:
    collected = player.play(7, temperature=temperature)
    files = player.files()
    assert_files_tell(collected, files)
    for trajectory in files:
        turns = [step for step in trajectory.steps if step.source == "agent"]
        measured = [turn.metrics or Metrics() for turn in turns]
        said = [player.chat.decode(metrics.completion_token_ids or []) for metrics in measured]
        assert [turn.message for turn in turns] == said
        assert [metrics.prompt_token_ids is None for metrics in measured] == [False] + [True] * (len(turns) - 1)
        assert_can_be_used(trajectory, player)
    again = sampler_mismatch(caller.model, [as_trace(one) for one in files], temperature=temperature)
    assert again < 1e-3, "the files alone are enough to score the tokens again"


def test_calls_of_the_model_ran(player: Player) -> None:
    collected = player.play(1)
    [trajectory] = player.files()
    assert collected.rollouts[0].outcome.name == "Scored"
    assert [step.tool_calls and step.tool_calls[0].function_name for step in trajectory.steps] == [
        *(None, "bash", "bash", "submit")
    ]
    assert "counting.py" in player.chat.tokenizer.decode(tokens_of(trajectory.steps))


def test_a_sample_that_fills_the_context_is_in_the_file(player: Player) -> None:
    collected = player.play(1, context=player.prompt_length() + 10)
    [trajectory] = player.files()
    assert_files_tell(collected, [trajectory])
    assert collected.rollouts[0].outcome == LimitStopped("context")
    last = trajectory.steps[-1]
    assert last.metrics
    assert (last.source, last.observation, last.metrics.completion_tokens) == ("agent", None, 10)
    assert last.message == player.chat.decode(collected.rollouts[0].trace.tokens[-10:])
    assert_can_be_used(trajectory, player)
    shown = {name: export(trajectory) for name, (export, _) in EXPORTS.items()}
    assert shown["swe-agent"]["trajectory"][-1]["response"] == last.message
    assert shown["swe-agent"]["history"][-1]["role"] == "assistant"
    assert [message["role"] for message in shown["mini-swe-agent"]["messages"]] == ["user", "assistant", "exit"]
    assert {one["info"]["exit_status"] for one in shown.values()} == {"ContextWindowExceededError"}


def test_an_observation_that_fills_the_context(player: Player) -> None:
    turn = 50
    collected = player.play(1, context=player.prompt_length() + turn)
    [rollout], [trajectory] = collected.rollouts, player.files()
    assert rollout.outcome == LimitStopped("context")
    assert rollout.trace.origins[-1] is not Origin.SAMPLED, "the sample itself had room"
    assert trajectory.steps[-1].observation
    assert_files_tell(collected, [trajectory])
    assert_can_be_used(trajectory, player)


def test_a_prompt_that_fills_the_context(player: Player) -> None:
    collected = player.play(1, context=player.prompt_length())
    [trajectory] = player.files()
    assert_files_tell(collected, [trajectory])
    assert [step.source for step in trajectory.steps] == ["user"]


def test_an_episode_that_the_machine_broke_has_a_file_as_has_the_one_after(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, calls = Toolbox.execute, iter([False, True])

    def break_the_second(self: Toolbox, sandbox: Sandbox, call: ToolCall) -> Observation:
        if next(calls, False):
            raise SandboxError("the disk is on fire")
        return execute(self, sandbox, call)

    monkeypatch.setattr(Toolbox, "execute", break_the_second)
    collected = player.play(1)
    assert collected.retried == 1
    files = player.files()
    [broken] = [one for one in files if (one.extra or {})["masked"]]
    assert_files_tell(collected, [one for one in files if one is not broken])
    turns = [step for step in broken.steps if step.source == "agent"]
    assert [turn.metrics is not None for turn in turns] == [True, True]
    assert turns[-1].observation
    assert turns[-1].observation.results[0].content == "[the sandbox failed]"


def test_forks_tell_their_own_tokens(player: Player) -> None:
    limits = Limits(context=CONTEXT, turn_tokens=64, observation_tokens=128)
    env = player.env()
    env.trajectories = player.folder
    first = LiveEpisode(env, player.chat, TASK, limits)
    first.begin()
    say(first, "prefix")
    [twin_env] = env.fork()
    twin = copy.copy(first)
    twin.env, twin.trace = twin_env, copy.deepcopy(first.trace)
    for episode, word in ((first, "one"), (twin, "two")):
        say(episode, word)
        say(episode, "both")
        episode.env.close()
    assert env.episode
    assert env.episode.recorder
    assert twin_env.episode
    assert twin_env.episode.recorder
    parent, fork = (read_trajectory(one.episode.recorder.path) for one in (env, twin_env))
    assert [columns(as_trace(one)) for one in (parent, fork)] == [columns(first.trace), columns(twin.trace)]
    assert [step.is_copied_context for step in fork.steps] == [True, True, None, None]
    assert fork.final_metrics
    assert fork.final_metrics.total_completion_tokens == sum(twin.trace.trainable) - said_tokens(player, "prefix")
    assert_can_be_used(fork, player)


def say(episode: LiveEpisode, word: str) -> None:
    tokens = (*episode._chat.encode(word), episode._chat.end)
    episode.advance(Sample(tokens, (-0.5,) * len(tokens), StopReason.END, VERSION))


def said_tokens(player: Player, word: str) -> int:
    return len(player.chat.encode(word)) + 1
