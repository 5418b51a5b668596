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
from agent_env.tools.formats.json_call import CALL_OBJECT, Block, decode_json, dump_json, read_call

_OPENING = re.compile(r"<tool_call>\s*")
_CALL_END = re.compile(r"\s*</tool_call>")
_NEXT_OPENING = re.compile(r"<tool_call>|<function=")


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
        while opening := _OPENING.search(text, position):
            if not text.startswith("{", opening.end()):
                fail_opening(text, opening.end(), "a JSON object")
            call, position = read_json_block(text, opening.end())
            calls.append(call)
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return "\n".join(map(write_json_block, calls))


def read_json_block(text: str, start: int) -> Block:
    """Read the JSON that begins at ``start``, and the closing tag where there is one."""
    what = "the JSON after <tool_call>"
    decoded = decode_json(text, start, what)
    call = read_call(decoded.value, what, arguments=("arguments",), ignored=("id",))
    opening = _NEXT_OPENING.search(text, decoded.end)
    if CALL_OBJECT.search(text, decoded.end, opening.start() if opening else len(text)):
        raise CallFormatError(f"after the call of {call.name} another one begins without <tool_call> before it")
    return Block(call, skip_call_end(text, decoded.end))


def write_json_block(call: ToolCall) -> str:
    """The call between tags; a ``<`` inside is escaped, so that no tag stands in it."""
    shown = dump_json({"name": call.name, "arguments": call.arguments})
    return "<tool_call>\n" + shown.replace("<", "\\u003c") + "\n</tool_call>"


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
