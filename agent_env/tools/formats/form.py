"""What every call format is: how it is read, how it is written, and what the prompt says of it."""

import re
from collections.abc import Sequence
from typing import ClassVar, Never, Protocol

from agent_env.tools.calls import MAX_CALLS, MAX_TURN_CHARS, CallFormatError, ToolCall, check_bounds
from agent_env.tools.formats.json_call import skip_blank


class WholeCallsError(CallFormatError):
    """The calls of a turn are refused though each of them is whole: where thinking ends behind them, it held them."""


class CallFormat(Protocol):
    """One text form of tool calls. Holds no state, so one object serves every episode."""

    name: ClassVar[str]
    rule: ClassVar[str]
    """What the prompt says before its example."""
    ending: ClassVar[str]
    """What the prompt says of the end of the work."""
    shell_only: ClassVar[bool]
    """Whether every call is a shell command, so that no other tool can be reached."""
    submits_by_output: ClassVar[bool]
    """Whether a command that prints ``SUBMIT_LINE`` first submits."""

    def read(self, text: str) -> list[ToolCall]:
        """The calls in ``text``, in order, with any prose around them; none where there is none. What begins another
        one where this form reads none is an error, if it is marked, follows a call directly, or is JSON with a name
        and arguments; else it counts as words.

        Raises:
            CallFormatError: one of them is malformed; the message says what was got and expected, without an example.
        """
        ...

    def write(self, calls: Sequence[ToolCall]) -> str:
        """The calls of one turn as text that ``read`` reads back.

        Raises:
            BadInputError: this form cannot hold them.
        """
        ...


_THOUGHT, _THOUGHT_END = "<think>", "</think>"

_NAMED_TAG = re.compile(
    r"(?:<tool_call>\s*)?<function=[\w.-]*>(?!\s*(?:\{|<parameter=|</function>))|<tool_call>(?!\s*(?:\{|<function=))"
)
"""A tag that prose names: no call stands behind it."""

CALL_THE_TOOL = "Call submit when you are done."
"""The ``ending`` of each form in which ``submit`` is a tool."""


def parse_calls(text: str, form: CallFormat) -> list[ToolCall]:
    """The calls of one turn, in order; at least one.

    Raises:
        CallFormatError: there is none, or one of them is malformed; then none should be run. The message ends in an
            example of the right form.
    """
    if len(text) > MAX_TURN_CHARS:
        # Without its length: a trajectory holds it cut, and a replay of that must say the same.
        _fail(f"the turn is longer than the {MAX_TURN_CHARS} characters that are read", form)
    try:
        calls = form.read(text[end_of_thinking(text, form) :])
        for call in calls:
            check_bounds(f"the arguments of {call.name[:80]}", call.arguments)
    except CallFormatError as error:
        _fail(str(error), form)
    if not calls:
        _fail("the turn holds no tool call", form)
    if len(calls) > MAX_CALLS:
        _fail(f"the turn holds {len(calls)} tool calls; at most {MAX_CALLS} are allowed", form)
    return calls


def end_of_thinking(text: str, form: CallFormat) -> int:
    """Where the turn begins behind what the policy thought: behind ``</think>``, be it that the turn begins with
    ``<think>``, or that the prompt wrote that and whole calls, or tags that prose names, stand before ``</think>``. One
    within a call is its text.

    Raises:
        CallFormatError: thinking is not closed, or stands behind a call.
    """
    start = 0
    while (end := text.find(_THOUGHT_END, start)) >= 0:
        if not _starts_thinking(text, start):
            if not _is_thought(text[start:end], form):
                return start
            opening = text.find(_THOUGHT, start, end)
            if opening >= 0 and _count_calls(text[start:opening], form):
                raise CallFormatError(f"a call stands before {_THOUGHT}: think first, then write all calls")
        start = end + len(_THOUGHT_END)
    if _starts_thinking(text, start):
        raise CallFormatError(f"{_THOUGHT} is not closed by {_THOUGHT_END}, and calls within it are not run")
    return start


def _starts_thinking(text: str, start: int) -> bool:
    return text.startswith(_THOUGHT, skip_blank(text, start))


def _is_thought(text: str, form: CallFormat) -> bool:
    """Whether what stands before ``</think>`` must be skipped: drafts, or tags in prose; and does not end in a call."""
    calls = _count_calls(text, form)
    return _count_calls(_NAMED_TAG.sub("", text), form) is not None if calls is None else calls > 0


def _count_calls(text: str, form: CallFormat) -> int | None:
    """How many calls the text holds, at least; None where not all of them are whole."""
    try:
        return len(form.read(text))
    except WholeCallsError:
        return 1
    except CallFormatError:
        return None


def _fail(what: str, form: CallFormat) -> Never:
    example = form.write([ToolCall("bash", {"command": "ls"})])
    raise CallFormatError(f"{what}. {form.rule}:\n{example}") from None
