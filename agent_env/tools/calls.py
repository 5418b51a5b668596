"""A tool call as such, whatever the text looked like in which a policy wrote it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import BadInputError

MAX_TURN_CHARS = 2_000_000
"""Longest turn that is read at all."""

MAX_CALLS = 16
"""Most calls in one turn: the step limit counts turns, so a turn must stay bounded."""

MAX_CALLS_CHARS = 8 * MAX_TURN_CHARS
"""Most that the calls of one turn may hold where they are given as such: as many of the longest arguments."""

MAX_DEPTH = 100
"""Deepest nesting of lists and objects in arguments: what reads them later goes down by recursion."""

MAX_BITS = 64
"""Longest whole number in arguments: Python cannot show those of thousands of digits."""


class CallFormatError(BadInputError):
    """A turn holds no readable tool call; the message says what is wrong and shows the right form."""


@dataclass(frozen=True)
class ToolCall:
    """One call, before any check that the tool exists or that the arguments fit it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


def check_calls(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls of one turn, if they are not too many, too large or beyond other bounds, and not none.

    Raises:
        CallFormatError: they are.
    """
    if not 1 <= len(calls) <= MAX_CALLS:
        raise CallFormatError(f"the turn holds {len(calls)} tool calls; expected 1 to {MAX_CALLS}")
    _check_size(calls)
    return list(calls)


def recordable(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls, however many, or none where they are too large or beyond other bounds."""
    try:
        _check_size(calls)
    except CallFormatError:
        return []
    return list(calls)


def _check_size(calls: Sequence[ToolCall]) -> None:
    """Refuse calls that are too large together, or beyond the bounds of each."""
    size = sum(len(call.name) + len(json.dumps(call.arguments)) for call in calls)
    if size > MAX_CALLS_CHARS:
        raise CallFormatError(f"the turn's calls hold {size} characters; at most {MAX_CALLS_CHARS} are read")
    for call in calls:
        check_bounds(f"the arguments of {call.name[:80]}", call.arguments)


def check_bounds(what: str, value: object) -> None:
    """Refuse values that parse, but which no tool takes and not everything behind the tools could hold.

    Args:
        what: names the value in the complaint.

    Raises:
        CallFormatError: it is nested more than ``MAX_DEPTH`` deep, or holds a whole number of more than ``MAX_BITS``
            bits.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(item, int) and item.bit_length() > MAX_BITS for item in level):
            raise CallFormatError(f"{what} hold a whole number of more than {MAX_BITS} bits")
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise CallFormatError(f"{what} are nested more than {MAX_DEPTH} deep")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def require_json(call: ToolCall) -> None:
    """Refuse what no client could have sent.

    Raises:
        BadInputError: it is no call, or its arguments are no JSON object.
    """
    if not isinstance(call, ToolCall) or not isinstance(call.name, str) or not isinstance(call.arguments, dict):
        raise BadInputError(f"a call is a ToolCall with a name and a dict of arguments; got {call!r:.80}")
    try:
        json.dumps(call.arguments, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(f"the arguments of {call.name[:80]} are no JSON object: {error}") from error
