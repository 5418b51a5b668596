"""Any of the forms, told apart by their marks, for policies whose form is not known beforehand. The prompt shows
Qwen3-Coder's, and so does every complaint.

Of several forms in one turn only one is read: that with tags or special tokens, which nobody writes by chance, before
bare JSON, lists and fenced blocks, of which the first counts.
"""

from collections.abc import Sequence
from typing import ClassVar

from agent_env.tools.calls import ToolCall
from agent_env.tools.formats.bash_block import BashBlock, find_blocks
from agent_env.tools.formats.form import CALL_THE_TOOL, CallFormat
from agent_env.tools.formats.llama import TAG, Llama, find_start
from agent_env.tools.formats.mistral import MARK, Mistral
from agent_env.tools.formats.qwen import Qwen


class Auto:
    """See the module."""

    name: ClassVar[str] = "auto"
    rule: ClassVar[str] = "Write each call exactly so"
    ending: ClassVar[str] = CALL_THE_TOOL
    shell_only: ClassVar[bool] = False
    submits_by_output: ClassVar[bool] = True

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        return _guess(text).read(text)

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return Qwen().write(calls)


def _guess(text: str) -> CallFormat:
    if "<tool_call>" in text or "<function=" in text:
        return Qwen()
    if MARK in text:
        return Mistral()
    if TAG.search(text):
        return Llama()
    fence, call = next(find_blocks(text), None), find_start(text)
    if fence and (call is None or fence.start < call):
        return BashBlock()
    return Llama() if call is not None else Qwen()
