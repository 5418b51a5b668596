"""Llama's form: JSON, after ``<|python_tag|>`` or without it; several calls are parted by semicolons. ::

    {"name": "bash", "parameters": {"command": "ls"}}

As the chat template of Llama 3.1 shows it (it says ``parameters``; ``arguments`` is read too), and as vLLM's
``llama3_json`` parser reads it. Special tokens may part the calls too. Read as well: the tag of Llama 3.1's own prompt
(see ``function_tag``), and the list of Python calls that Llama 3.2 and 4 write (see ``pythonic``).
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.function_tag import FUNCTION, read_function_tag
from agent_env.tools.formats.json_call import (
    CALL_OBJECT,
    Block,
    begins_call,
    decode_json,
    dump_json,
    read_call,
    skip_blank,
)
from agent_env.tools.formats.pythonic import find_list, find_loose_list, list_follows, read_list

TAG = re.compile(r"<\|python_tag\|>|<\|python_start\|>")
"""Where a call begins in the output of models that mark it."""

_BETWEEN = re.compile(r"(?:[\s;,]|<\|(?:eom_id|eot_id|python_tag|python_start|python_end)\|>)*+")


class Llama:
    """See the module."""

    name: ClassVar[str] = "llama"
    rule: ClassVar[str] = "Write each call exactly so"
    ending: ClassVar[str] = CALL_THE_TOOL
    shell_only: ClassVar[bool] = False
    submits_by_output: ClassVar[bool] = False

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        tag, start = TAG.search(text), find_start(text)
        if tag and (start is None or tag.start() < start):
            start = find_start(text, tag.end())
            if start != skip_blank(text, tag.end()):
                got = text[tag.end() : tag.end() + 40]
                raise CallFormatError(f'after {tag.group()} expected a JSON object with a "name", got {got!r}')
        if start is None:
            start = find_loose_list(text)  # so that the complaint can say what is wrong with it
        if start is None:
            return []
        calls, end = read_list(text, start) if text[start] == "[" else _read_objects(text, start)
        if FUNCTION.search(text, end) or TAG.search(text, end) or begins_call(text[end:]) or list_follows(text, end):
            raise CallFormatError("after the calls another one begins: write all calls together, with nothing between")
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return "; ".join(dump_json({"name": call.name, "parameters": call.arguments}) for call in calls)


def find_start(text: str, after: int = 0) -> int | None:
    """Where the calls of a turn begin, from ``after`` on, or None where it holds none."""
    found = [form.search(text, after) for form in (CALL_OBJECT, FUNCTION)]
    starts = [*(match.start() for match in found if match), find_list(text, after)]
    return min((start for start in starts if start is not None), default=None)


def _read_objects(text: str, start: int) -> tuple[list[ToolCall], int]:
    """The calls from ``start`` on that follow each other, and where the last of them ends."""
    calls: list[ToolCall] = []
    position = end = start
    while (tag := FUNCTION.match(text, position)) or text.startswith("{", position):
        call, end = read_function_tag(text, tag) if tag else _read_object(text, position)
        calls.append(call)
        following = _BETWEEN.match(text, end)
        assert following is not None
        position = following.end()
    return calls, end


def _read_object(text: str, start: int) -> Block:
    what = "the JSON of the call"
    value, end = decode_json(text, start, what)
    return Block(read_call(value, what, arguments=("parameters", "arguments"), ignored=("type", "id")), end)
