"""JSON in the text of a policy: decoded from a place on, strictly as to what counts as JSON, leniently as to bare line
breaks inside strings, since small models write them."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Never

from agent_env.tools.calls import CallFormatError, ToolCall

_NAME = re.compile(r"[\w.-]{1,200}")
_BLANK = re.compile(r"\s*")

CALL_OBJECT = re.compile(r'\{\s*"(?:name|parameters|arguments|type)"\s*:')
"""What looks like the beginning of a call in JSON."""

_EXTRA = r'(?:"(?:id|type)"\s*:\s*(?:"[^"\n]{0,200}"|\d{1,20})\s*,\s*){0,2}'
_NAMED_CALL = re.compile(
    rf'\{{\s*{_EXTRA}"name"\s*:\s*"[^"\n]{{1,200}}"\s*,\s*{_EXTRA}"(?:arguments|parameters)"\s*:',
)
_ARGUMENTS_FIRST = re.compile(rf'\{{\s*{_EXTRA}"(?:arguments|parameters)"\s*:\s*\{{')
_NAME_LAST = re.compile(r'\}\s*,\s*"name"\s*:')
_FOLLOWING = re.compile(r"(?:[\s;,]|</\w{1,20}>|<\|\w{1,20}\|>)*+\[?\s*+" + CALL_OBJECT.pattern)


class Block(NamedTuple):
    """One call and where its text ends."""

    call: ToolCall
    end: int


class Decoded(NamedTuple):
    """A JSON value and where it ends."""

    value: Any
    end: int


def decode_json(text: str, start: int, what: str) -> Decoded:
    """Decode the value that begins at ``start``.

    Args:
        what: names the JSON in a complaint.

    Raises:
        CallFormatError: it is no JSON, or holds a number beyond all bounds.
    """
    try:
        return Decoded(*_DECODER.raw_decode(text, start))
    except json.JSONDecodeError as error:
        raise CallFormatError(f"{what} does not parse: {error.msg} at character {error.pos - start}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise CallFormatError(f"{what} does not parse: {error}") from None


def begins_call(rest: str) -> bool:
    """Whether a call in JSON begins in what stands behind another call: what resembles one directly behind it, or
    an object with a name and arguments anywhere. (Other objects with a name are data that the policy tells of.)"""
    if _FOLLOWING.match(rest) or _NAMED_CALL.search(rest):
        return True
    arguments = _ARGUMENTS_FIRST.search(rest)
    return bool(arguments and _NAME_LAST.search(rest, arguments.end()))


def read_call(value: Any, what: str, *, arguments: tuple[str, ...], ignored: tuple[str, ...]) -> ToolCall:
    """The call that a decoded JSON value means.

    Args:
        arguments: keys under which the arguments may stand, the usual one first; at most one of them.
        ignored: keys that may also be there.

    Raises:
        CallFormatError: it is none.
    """
    if not isinstance(value, Mapping):
        raise CallFormatError(f"{what} must be an object; got {type(value).__name__}")
    name = value.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CallFormatError(f'{what} needs "name", the name of a tool, as a string; got the keys {sorted(value)[:8]}')
    found = [key for key in arguments if key in value]
    if len(found) > 1:
        raise CallFormatError(f"{what} holds both {found[0]!r} and {found[1]!r}; expected {arguments[0]!r} alone")
    given = value[found[0]] if found else {}
    if not isinstance(given, Mapping):
        raise CallFormatError(f'"{found[0]}" of {name} must be a JSON object; got {type(given).__name__}')
    if extra := sorted(set(value) - {"name", *arguments, *ignored}):
        raise CallFormatError(f'{what} must hold "name" and "{arguments[0]}" alone; got also {extra[:8]}')
    return ToolCall(name, dict(given))


def dump_json(value: Any) -> str:
    """The value as JSON in one line, as models write it."""
    return json.dumps(value, ensure_ascii=False)


def skip_blank(text: str, position: int) -> int:
    """The first place from ``position`` on that is no blank."""
    blank = _BLANK.match(text, position)
    assert blank is not None
    return blank.end()


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse_constant, parse_float=_finite)
