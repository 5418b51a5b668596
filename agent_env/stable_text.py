"""Parts of a text that differ between two runs of the same command, and nothing else: durations that pytest prints."""

import re
from typing import NamedTuple

_DURATION = r"\d+\.\d+s(?: \(\d+:\d\d:\d\d\))?"

PARTS: dict[str, re.Pattern[str]] = {
    "pytest's duration": re.compile(
        rf"^=+(?= .*\bin {_DURATION} =+$)|(?<=\bin ){_DURATION}(?: =+$|(?=\b|=|\s|$))", re.MULTILINE
    ),
}
"""Per kind, what it looks like; of pytest's last line also the rules around it, whose length depends on the duration's.
Kept short: each entry hides differences."""


class Stable(NamedTuple):
    """A text with such parts taken out."""

    text: str
    kinds: frozenset[str]
    """Which kinds it held."""


def stable(text: str) -> Stable:
    """The text with each such part replaced by the name of its kind."""
    kinds = set()
    for kind, pattern in PARTS.items():
        text, number = pattern.subn(f"<{kind}>", text)
        if number:
            kinds.add(kind)
    return Stable(text, frozenset(kinds))
