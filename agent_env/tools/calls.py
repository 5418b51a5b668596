"""Tool calls as text: what a policy writes becomes ``ToolCall``s, and a ``ToolCall`` becomes what a policy writes.

Two forms are read, also mixed, with any prose around them. Qwen3-Coder's, which needs no escaping::

    <tool_call>
    <function=bash>
    <parameter=command>
    ls
    </parameter>
    </function>
    </tool_call>

and Hermes's, ``<tool_call>{"name": "bash", "arguments": {"command": "ls"}}</tool_call>``. In the first every argument
is text (the tools turn it into what they expect), and exactly one line break after the opening tag and one before the
closing tag belong to the form, not to the value. ``<tool_call>`` may be missing around a ``<function=...>`` block:
models that were trained on this form leave it out at times.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Never

from tasks.errors import BadInputError

MAX_TURN_CHARS = 2_000_000
"""Longest turn that is read at all."""

MAX_CALLS = 16
"""Most calls in one turn: the step limit counts turns, so a turn must stay bounded."""

EXAMPLE = "<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
"""The right form, shown in the prompt and in every ``CallFormatError``."""

_OPENING = re.compile(r"<tool_call>\s*|<function=")
_NAME = re.compile(r"([\w.-]+)>")
_BLANK = re.compile(r"\s*")
_VALUE_END = re.compile(r"</parameter>(?=\s*(?:<parameter=[\w.-]+>|</function>))")
_CALL_END = re.compile(r"\s*</tool_call>")


class CallFormatError(BadInputError):
    """A turn holds no readable tool call; the message says what is wrong and shows the right form."""


@dataclass(frozen=True)
class ToolCall:
    """One call, before any check that the tool exists or that the arguments fit it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


class _Parsed(NamedTuple):
    call: ToolCall
    end: int


def parse_calls(text: str) -> list[ToolCall]:
    """The calls of one turn, in order; at least one.

    Raises:
        CallFormatError: there is none, or one of them is malformed; then none should be run.
    """
    if len(text) > MAX_TURN_CHARS:
        _fail(f"the turn is {len(text)} characters long; at most {MAX_TURN_CHARS} are read")
    calls: list[ToolCall] = []
    position = 0
    while opening := _OPENING.search(text, position):
        if opening.group() == "<function=":
            parsed = _parse_xml(text, opening.start())
        elif text.startswith("{", opening.end()):
            parsed = _parse_json(text, opening.end())
        elif text.startswith("<function=", opening.end()):
            parsed = _parse_xml(text, opening.end())
        else:
            got = text[opening.end() : opening.end() + 40]
            _fail(f"after <tool_call> expected <function=NAME>, got {got!r}" if got else "the turn ends at <tool_call>")
        calls.append(parsed.call)
        position = parsed.end
    if not calls:
        _fail("the turn holds no tool call")
    if len(calls) > MAX_CALLS:
        _fail(f"the turn holds {len(calls)} tool calls; at most {MAX_CALLS} are allowed")
    return calls


def format_call(call: ToolCall) -> str:
    """The call as text that ``parse_calls`` reads back.

    In Qwen3-Coder's form, where arguments that are not text are written as JSON (and so are read back as its text);
    in Hermes's form where the first cannot hold the call, as when a value contains the closing tags themselves.
    """
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in call.arguments.items()}
    lines = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    text = f"<tool_call>\n<function={call.name}>\n{lines}</function>\n</tool_call>"
    if _reads_as(text, [ToolCall(call.name, values)]):
        return text
    shown = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return "<tool_call>\n" + shown.replace("<", "\\u003c") + "\n</tool_call>"


def _reads_as(text: str, calls: list[ToolCall]) -> bool:
    try:
        return parse_calls(text) == calls
    except CallFormatError:
        return False


def _parse_xml(text: str, start: int) -> _Parsed:
    """Parse from ``<function=`` on."""
    name = _NAME.match(text, start + len("<function="))
    if not name:
        _fail(f"expected <function=NAME>, got {text[start : start + 40]!r}")
    arguments: dict[str, Any] = {}
    position = _skip_blank(text, name.end())
    while text.startswith("<parameter=", position):
        key = _NAME.match(text, position + len("<parameter="))
        if not key:
            _fail(f"in <function={name[1]}> expected <parameter=NAME>, got {text[position : position + 40]!r}")
        end = _VALUE_END.search(text, key.end())
        if not end:
            _fail(f"<parameter={key[1]}> of {name[1]} is not closed by </parameter> and </function>")
        if key[1] in arguments:
            _fail(f"{name[1]} got <parameter={key[1]}> twice")
        arguments[key[1]] = _strip_breaks(text[key.end() : end.start()])
        position = _skip_blank(text, end.end())
    if not text.startswith("</function>", position):
        got = text[position : position + 40]
        _fail(f"in <function={name[1]}> expected <parameter=NAME> or </function>, got {got!r}")
    return _Parsed(ToolCall(name[1], arguments), _skip_call_end(text, position + len("</function>")))


def _parse_json(text: str, start: int) -> _Parsed:
    """Parse from ``{`` on; bare line breaks inside strings are let pass, since small models write them."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except json.JSONDecodeError as error:
        _fail(f"the JSON after <tool_call> does not parse: {error.msg} at character {error.pos - start}")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        _fail(f"the JSON after <tool_call> does not parse: {error}")
    name, arguments = value.get("name"), value.get("arguments", {})
    if not isinstance(name, str) or not _NAME.fullmatch(f"{name}>"):
        _fail(f'the JSON needs "name", the name of a tool, as a string; got the keys {sorted(value)[:8]}')
    if not isinstance(arguments, Mapping):
        _fail(f'"arguments" of {name} must be a JSON object; got {type(arguments).__name__}')
    if extra := sorted(set(value) - {"name", "arguments", "id"}):
        _fail(f'the JSON must hold "name" and "arguments" alone; got also {extra[:8]}')
    return _Parsed(ToolCall(name, dict(arguments)), _skip_call_end(text, end))


def _strip_breaks(value: str) -> str:
    value = value.removeprefix("\n")
    return value.removesuffix("\n")


def _skip_blank(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    assert blank is not None
    return blank.end()


def _skip_call_end(text: str, position: int) -> int:
    end = _CALL_END.match(text, position)
    return end.end() if end else position


def _fail(what: str) -> Never:
    raise CallFormatError(f"{what}. Write a tool call exactly so:\n{EXAMPLE}")
