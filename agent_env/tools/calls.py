"""A tool call as such, whatever the text looked like in which a policy wrote it."""

from dataclasses import dataclass, field
from typing import Any

from tasks.errors import BadInputError

MAX_TURN_CHARS = 2_000_000
"""Longest turn that is read at all."""

MAX_CALLS = 16
"""Most calls in one turn: the step limit counts turns, so a turn must stay bounded."""


class CallFormatError(BadInputError):
    """A turn holds no readable tool call; the message says what is wrong and shows the right form."""


@dataclass(frozen=True)
class ToolCall:
    """One call, before any check that the tool exists or that the arguments fit it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
