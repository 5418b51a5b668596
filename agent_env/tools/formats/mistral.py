"""Mistral's form: a marker, a name, and the arguments as JSON; several calls follow each other. ::

    [TOOL_CALLS]bash[ARGS]{"command": "ls"}

As the tokenizers of version 11 and later (Devstral, Mistral Small 3.2) write it, with ``[CALL_ID]...`` before
``[ARGS]``, or with neither; the marker of later calls may be missing. The older form is read too: ``[TOOL_CALLS]
[{"name": "bash", "arguments": {"command": "ls"}}]``. Both as vLLM's ``mistral`` parser reads them.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.json_call import decode_json, dump_json, read_call, skip_blank
from tasks.errors import BadInputError

MARK = "[TOOL_CALLS]"

_NAME = re.compile(r"[\w.-]{1,200}")
_NEXT = re.compile(r"\s*(?=[\w.-]{1,200}(?:\[CALL_ID\]\w*)?(?:\[ARGS\]\s*\{|\{\s*[\"}]))")
_LOST = re.compile(r"[\s;,]*+\[?\s*+\{")
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
            read = _read_list if text.startswith(("[", "{"), start) else _read_named
            found, end = read(text, start)
            calls += found
            position = text.find(MARK, end)
            _refuse_lost(text[end:position] if position >= 0 else text[end:])
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        for call in calls:
            if not _NAME.fullmatch(call.name):
                raise BadInputError(f"the name {call.name[:80]!r} cannot be written after {MARK}")
        return "".join(f"{MARK}{call.name}[ARGS]{dump_json(call.arguments)}" for call in calls)


def _read_named(text: str, start: int) -> tuple[list[ToolCall], int]:
    """The call whose name begins at ``start``, and those that follow it without a marker."""
    calls: list[ToolCall] = []
    position: int | None = start
    while position is not None:
        head = _HEAD.match(text, position)
        if not head or not text.startswith("{", head.end()):
            got = text[position : position + 40]
            raise CallFormatError(f"after {MARK} expected NAME[ARGS]{{...}}, got {got!r}")
        value, end = decode_json(text, head.end(), f"the JSON after {head[1][:80]}[ARGS]")
        calls.append(ToolCall(head[1], value))
        following = _NEXT.match(text, end)
        position = following.end() if following else None
    return calls, end


def _refuse_lost(rest: str) -> None:
    """Complain of a call in what stands between one that was read and the next marker."""
    if "[ARGS]" in rest or _LOST.match(rest):
        raise CallFormatError(f"after a call another one begins without {MARK} before it, got {rest.strip()[:40]!r}")


def _read_list(text: str, start: int) -> tuple[list[ToolCall], int]:
    what = f"the JSON after {MARK}"
    value, end = decode_json(text, start, what)
    items = value if isinstance(value, list) else [value]
    return [read_call(item, what, arguments=("arguments",), ignored=("id",)) for item in items], end
