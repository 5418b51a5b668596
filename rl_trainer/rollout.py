"""One episode seen from the trainer: a trace of tokens that grows turn by turn against an environment of texts."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from agent_env.atif import Metrics
from agent_env.outcome import InfraFailed, LimitStopped, Outcome
from blockers.monitor.events import Event
from rl_trainer.chat import ChatFormat
from rl_trainer.policy.base import Sample, StopReason
from rl_trainer.text_env import TextEnv, read_events, read_outcome
from rl_trainer.tokens import Trace
from tasks.errors import InfraError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What bounds an episode besides the environment's own limits."""

    context: int
    """The most tokens of an episode; one that reaches it ends as ``LimitStopped("context")``, reward 0."""
    turn_tokens: int
    """The most sampled tokens of a turn."""
    observation_tokens: int
    """The most tokens of an observation; the middle of a longer one is left out."""


class Rollout(NamedTuple):
    """A finished episode."""

    task_id: str
    trace: Trace
    outcome: Outcome
    turns: int
    seconds: float
    """Wall time from reset to the outcome, waiting for other episodes of the batch included."""
    events: tuple[Event, ...] = ()
    """What the monitor saw the policy try."""

    @property
    def reward(self) -> float:
        """The outcome's reward; not to be read where ``outcome.masked``."""
        return self.outcome.reward


class LiveEpisode:
    """An episode while it runs. Errors of the machine end it as ``InfraFailed``; all others are raised."""

    def __init__(self, env: TextEnv, chat: ChatFormat, task_id: str, limits: Limits) -> None:
        self.env = env
        self.task_id = task_id
        self.trace = Trace()
        self.outcome: Outcome | None = None
        self.events: tuple[Event, ...] = ()
        self._chat, self._limits = chat, limits
        self.turns = 0
        self._begun = time.monotonic()

    def begin(self) -> None:
        """Reset the environment and open the trace with its prompt."""
        try:
            prompt, _ = self.env.reset(options={"task_id": self.task_id})
            self.trace = self._chat.open(prompt)
            self._check_context()
        except (InfraError, OSError) as error:
            self._fail(error)

    def advance(self, sample: Sample) -> None:
        """Append what the policy wrote, step the environment with it, append what it answered."""
        metrics = _metrics(self.trace, sample)
        self.trace.add_sampled(sample.tokens, sample.logprobs, version=sample.version)
        self.turns += 1
        said = self._chat.decode(sample.tokens)
        try:
            if sample.stop is StopReason.CONTEXT:
                self._stop_at_context(said)
            else:
                self._step(said)
            self.env.measure(metrics)
        except (InfraError, OSError) as error:
            self._fail(error)

    def finish(self) -> Rollout:
        """The finished episode."""
        assert self.outcome is not None, "the episode still runs"
        seconds = time.monotonic() - self._begun
        return Rollout(self.task_id, self.trace, self.outcome, self.turns, seconds, self.events)

    def _step(self, said: str) -> None:
        observation, reward, terminated, truncated, info = self.env.step(said)
        self.events = read_events(info)
        if terminated or truncated:
            self.outcome = read_outcome(reward, info)
        else:
            self._chat.observe(self.trace, observation, limit=self._limits.observation_tokens)
            self._check_context()

    def _check_context(self) -> None:
        if len(self.trace) >= self._limits.context:
            self._stop_at_context()

    def _stop_at_context(self, unplayed: str | None = None) -> None:
        self.outcome = LimitStopped("context")
        self.env.context_full(unplayed)

    def _fail(self, error: Exception) -> None:
        self.outcome = InfraFailed(f"{type(error).__name__}: {error}")
        try:
            self.env.close()
        except (InfraError, OSError) as another:
            self.outcome = InfraFailed(f"{type(another).__name__}: {another}")


def _metrics(trace: Trace, sample: Sample) -> Metrics:
    """What the episode's file keeps of a sample that was drawn after ``trace``."""
    return Metrics(
        prompt_tokens=len(trace),
        completion_tokens=len(sample.tokens),
        prompt_token_ids=trace.tokens,
        completion_token_ids=list(sample.tokens),
        logprobs=list(sample.logprobs),
        extra={"policy_version": sample.version},
    )
