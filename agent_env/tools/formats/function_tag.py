"""The form in which Llama 3.1 calls functions that the system prompt declares: a tag with the name, and JSON. ::

    <function=bash>{"command": "ls"}</function>

The closing tag may be missing.
"""

import re

from agent_env.tools.calls import ToolCall
from agent_env.tools.formats.json_call import Block, decode_json

FUNCTION = re.compile(r"<function=([\w.-]{1,200})>\s*(?=\{)")
"""Where such a call begins; Qwen3-Coder's tag is the same, without the ``{`` behind it."""

_END = re.compile(r"\s*</function>")


def read_function_tag(text: str, opening: re.Match[str]) -> Block:
    """Read the call that ``FUNCTION`` matched.

    Raises:
        CallFormatError: the JSON does not parse.
    """
    decoded = decode_json(text, opening.end(), f"the JSON after <function={opening[1]}>")
    end = _END.match(text, decoded.end)
    return Block(ToolCall(opening[1], decoded.value), end.end() if end else decoded.end)
