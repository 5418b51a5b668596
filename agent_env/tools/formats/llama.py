"""Llama's form: JSON, after ``<|python_tag|>`` or without it; several calls are parted by semicolons. ::

    {"name": "bash", "parameters": {"command": "ls"}}

As the chat template of Llama 3.1 shows it (it says ``parameters``; ``arguments`` is read too), and as vLLM's
``llama3_json`` parser reads it. The list of Python calls that Llama 3.2 and 4 write is read as well: see ``pythonic``.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.json_call import decode_json, dump_json, read_call, skip_blank
from agent_env.tools.formats.pythonic import find_list, find_loose_list, read_list

TAG = re.compile(r"<\|python_tag\|>|<\|python_start\|>")
"""Where a call begins in the output of models that mark it."""

_OBJECT = re.compile(r'\{\s*"(?:name|parameters|arguments|type)"\s*:')
_NEXT = re.compile(r"\s*[;,]?\s*(?=\{)")


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
        return read_list(text, start) if text[start] == "[" else _read_objects(text, start)

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return "; ".join(dump_json({"name": call.name, "parameters": call.arguments}) for call in calls)


def find_start(text: str, after: int = 0) -> int | None:
    """Where the calls of a turn begin, from ``after`` on, or None where it holds none."""
    found = _OBJECT.search(text, after)
    starts = [start for start in (found.start() if found else None, find_list(text, after)) if start is not None]
    return min(starts, default=None)


def _read_objects(text: str, start: int) -> list[ToolCall]:
    what = "the JSON of the call"
    calls: list[ToolCall] = []
    position = start
    while True:
        value, end = decode_json(text, position, what)
        calls.append(read_call(value, what, arguments=("parameters", "arguments"), ignored=("type", "id")))
        following = _NEXT.match(text, end)
        if not following:
            return calls
        position = following.end()
