"""Mistral's form: a marker, a name, and the arguments as JSON; several calls follow each other. ::

    [TOOL_CALLS]bash[ARGS]{"command": "ls"}

As the tokenizers of version 11 and later (Devstral, Mistral Small 3.2) write it, with ``[CALL_ID]...`` before
``[ARGS]``, or with neither. The older form is read too: ``[TOOL_CALLS] [{"name": "bash", "arguments": {"command":
"ls"}}]``. Both as vLLM's ``mistral`` parser reads them.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.json_call import Decoded, decode_json, dump_json, read_call, skip_blank
from tasks.errors import BadInputError

MARK = "[TOOL_CALLS]"

_NAME = re.compile(r"[\w.-]{1,200}")
_HEAD = re.compile(r"([\w.-]{1,200})(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*")


class Mistral:
    """See the module."""

    name: ClassVar[str] = "mistral"
    rule: ClassVar[str] = "Write each call exactly so"
    ending: ClassVar[str] = CALL_THE_TOOL
    shell_only: ClassVar[bool] = False
    submits_by_output: ClassVar[bool] = False

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        calls: list[ToolCall] = []
        position = text.find(MARK)
        while position >= 0:
            start = skip_blank(text, position + len(MARK))
            if text.startswith(("[", "{"), start):
                read, position = _read_list(text, start)
                calls += read
            else:
                call, position = _read_named(text, start)
                calls.append(call)
            position = text.find(MARK, position)
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        for call in calls:
            if not _NAME.fullmatch(call.name):
                raise BadInputError(f"the name {call.name[:80]!r} cannot be written after {MARK}")
        return "".join(f"{MARK}{call.name}[ARGS]{dump_json(call.arguments)}" for call in calls)


def _read_named(text: str, start: int) -> tuple[ToolCall, int]:
    head = _HEAD.match(text, start)
    if not head or not text.startswith("{", head.end()):
        got = text[start : start + 40]
        raise CallFormatError(f"after {MARK} expected NAME[ARGS]{{...}}, got {got!r}")
    decoded: Decoded = decode_json(text, head.end(), f"the JSON after {head[1][:80]}[ARGS]")
    return ToolCall(head[1], decoded.value), decoded.end


def _read_list(text: str, start: int) -> tuple[list[ToolCall], int]:
    what = f"the JSON after {MARK}"
    value, end = decode_json(text, start, what)
    items = value if isinstance(value, list) else [value]
    return [read_call(item, what, arguments=("arguments",), ignored=("id",)) for item in items], end
