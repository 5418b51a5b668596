"""A Gymnasium space of texts: any Unicode string.

Gymnasium's own ``Text`` is alphanumeric by default, and takes seconds to build over all of Unicode.
"""

from typing import Any

import gymnasium

from agent_env.tools.calls import MAX_TURN_CHARS

_SAMPLE_ALPHABET = "abcdefghijklmnopqrstuvwxyz ABC 0123456789 <>=/_{}\"'\n\t äß→界😀"


class TextSpace(gymnasium.Space[str]):
    """All strings of at most ``max_chars`` characters. Samples are short, and garbage to any parser of tool calls."""

    def __init__(self, max_chars: int = MAX_TURN_CHARS, seed: int | None = None) -> None:
        self.max_chars = max_chars
        super().__init__(shape=(), dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Texts have no fixed-size vector."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """A random short text; masks have no meaning here."""
        if mask is not None or probability is not None:
            raise ValueError("a TextSpace is sampled without mask and probability")
        size = int(self.np_random.integers(1, min(64, self.max_chars) + 1))
        return "".join(self.np_random.choice(list(_SAMPLE_ALPHABET), size=size))

    def contains(self, x: object) -> bool:
        """Whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_chars

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextSpace) and other.max_chars == self.max_chars

    def __hash__(self) -> int:
        return hash((TextSpace, self.max_chars))

    def __repr__(self) -> str:
        return f"TextSpace(max_chars={self.max_chars})"
