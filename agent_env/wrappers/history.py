"""Observations that hold the whole conversation, or its end: for policies that keep no memory of their own."""

import sys
from typing import Any, SupportsFloat

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from agent_env import given
from agent_env.spaces import TextSpace


class HistoryWindow(gymnasium.Wrapper[str, str, str, str], RecordConstructorArgs):
    """The observation becomes the prompt, then the latest turns, written as ``render`` writes them.

    What is left out is told in one line. The prompt is always there, whole, and not counted.

    Args:
        turns: how many turns are shown; None means all.
        chars: how many characters of them are shown, from the end; None means all.
    """

    def __init__(self, env: gymnasium.Env[str, str], *, turns: int | None = None, chars: int | None = None) -> None:
        for name, value in (("turns", turns), ("chars", chars)):
            given.whole_number(name, value, or_none=True)
        RecordConstructorArgs.__init__(self, turns=turns, chars=chars)
        super().__init__(env)
        self.observation_space = TextSpace(sys.maxsize)  # as long as the episode makes it
        self._most_turns = turns
        self._most_chars = chars
        self._prompt = ""
        self._turns: list[str] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; the prompt comes back."""
        self._prompt, info = self.env.reset(seed=seed, options=options)
        self._turns = []
        return self._prompt, info

    def step(self, action: str) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a turn; the window after it comes back."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._turns.append(f"[agent]\n{action}\n\n[tool]\n{observation}")
        return self._window(), reward, terminated, truncated, info

    def _window(self) -> str:
        kept = self._turns[-(self._most_turns or len(self._turns)) :]
        text = "\n\n".join(kept)
        notes = []
        if left_out := len(self._turns) - len(kept):
            notes.append(f"[... {left_out} earlier turns are left out ...]")
        if self._most_chars is not None and len(text) > self._most_chars:
            notes.append(f"[... {len(text) - self._most_chars} characters are left out ...]")
            text = text[-self._most_chars :]
        return "\n\n".join([self._prompt, *notes, text])
