"""Hermes's form, which Qwen2.5 and Qwen3 also use: JSON between tags. ::

    <tool_call>
    {"name": "bash", "arguments": {"command": "ls"}}
    </tool_call>

As the chat templates of these models show it, and as vLLM's ``hermes`` parser reads it. The closing tag may be missing.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.json_call import Block, begins_call, decode_json, dump_json, read_call

_OPENING = re.compile(r"<tool_call>\s*")
_CALL_END = re.compile(r"\s*</tool_call>")
_FUNCTION_TAG = re.compile(r"<function=[\w.-]{1,200}>\s*(?:\{|<parameter=|</function>)")


class Hermes:
    """See the module."""

    name: ClassVar[str] = "hermes"
    rule: ClassVar[str] = "Write each call exactly so"
    ending: ClassVar[str] = CALL_THE_TOOL
    shell_only: ClassVar[bool] = False
    submits_by_output: ClassVar[bool] = False

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        calls: list[ToolCall] = []
        position = 0
        gaps = []
        while opening := _OPENING.search(text, position):
            gaps.append(text[position : opening.start()])
            if not text.startswith("{", opening.end()):
                fail_opening(text, opening.end(), "a JSON object")
            call, position = read_json_block(text, opening.end())
            calls.append(call)
        gaps.append(text[position:])
        if calls and any(map(_FUNCTION_TAG.search, gaps)):
            raise CallFormatError("beside the calls another one begins with <function=NAME>, which is not read")
        refuse_lost(gaps[1:])
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return "\n".join(map(write_json_block, calls))


def read_json_block(text: str, start: int) -> Block:
    """Read the JSON that begins at ``start``, and the closing tag where there is one."""
    what = "the JSON after <tool_call>"
    decoded = decode_json(text, start, what)
    call = read_call(decoded.value, what, arguments=("arguments",), ignored=("id",))
    return Block(call, skip_call_end(text, decoded.end))


def write_json_block(call: ToolCall) -> str:
    """The call between tags; a ``<`` inside is escaped, so that no tag stands in it."""
    shown = dump_json({"name": call.name, "arguments": call.arguments})
    return "<tool_call>\n" + shown.replace("<", "\\u003c") + "\n</tool_call>"


def refuse_lost(gaps: Sequence[str]) -> None:
    """Complain of a call without ``<tool_call>`` in what stands behind each of those that were read."""
    if any(map(begins_call, gaps)):
        raise CallFormatError("after a call another one begins without <tool_call> before it")


def skip_call_end(text: str, position: int) -> int:
    """The place after the closing tag, or ``position`` where none follows."""
    end = _CALL_END.match(text, position)
    return end.end() if end else position


def fail_opening(text: str, position: int, expected: str) -> None:
    """Complain of what stands after ``<tool_call>``."""
    got = text[position : position + 40]
    raise CallFormatError(
        f"after <tool_call> expected {expected}, got {got!r}" if got else "the turn ends at <tool_call>"
    )
