"""Who writes the turns of episodes: a policy that samples, or a script."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rl_trainer.chat import ChatFormat
from rl_trainer.policy.base import Policy, Sample, Sampling, StopReason
from rl_trainer.rollout import Limits, LiveEpisode
from rl_trainer.tokens import SCRIPTED_VERSION

_SEED_STRIDE = 1_000_003
"""Seeds of two collections never meet, however many rounds each has."""


class Actor(Protocol):
    """Writes the next turn of each of some running episodes."""

    async def act(self, live: Sequence[LiveEpisode], round_number: int) -> Sequence[Sample]:
        """One sample for each episode; ``round_number`` counts the calls of one collection."""
        ...


class PolicyActor:
    """Samples from a policy."""

    def __init__(self, policy: Policy, chat: ChatFormat, limits: Limits, *, temperature: float, seed: int) -> None:
        self._policy, self._chat, self._limits = policy, chat, limits
        self._temperature, self._seed = temperature, seed

    async def act(self, live: Sequence[LiveEpisode], round_number: int) -> Sequence[Sample]:
        """Sample all turns as one batch."""
        sampling = Sampling(
            max_tokens=self._limits.turn_tokens,
            context=self._limits.context,
            temperature=self._temperature,
            stop_tokens=(self._chat.end,),
            seed=self._seed * _SEED_STRIDE + round_number,
        )
        return await self._policy.generate([episode.trace.tokens for episode in live], sampling)


class ScriptActor:
    """Recites texts given beforehand, as a policy that is certain of each of its tokens."""

    def __init__(self, actions_of: Callable[[str], Sequence[str]], chat: ChatFormat) -> None:
        self._actions_of, self._chat = actions_of, chat

    async def act(self, live: Sequence[LiveEpisode], round_number: int) -> Sequence[Sample]:
        """The next text of each episode's script; an empty turn once it has run out."""
        del round_number
        return [self._recite(self._actions_of(episode.task_id), episode.turns) for episode in live]

    def _recite(self, actions: Sequence[str], turn: int) -> Sample:
        tokens = (*self._chat.encode(actions[turn] if turn < len(actions) else ""), self._chat.end)
        return Sample(tokens, (0.0,) * len(tokens), StopReason.END, SCRIPTED_VERSION)
