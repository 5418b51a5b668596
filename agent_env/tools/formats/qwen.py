"""Qwen3-Coder's form, which needs no escaping. ::

    <tool_call>
    <function=bash>
    <parameter=command>
    ls
    </parameter>
    </function>
    </tool_call>

As its chat template shows it, and as vLLM's ``qwen3_coder`` parser reads it. Every argument is text (the tools turn it
into what they expect); exactly one line break after the opening tag and one before the closing tag belong to the form,
not to the value. ``<tool_call>`` may be missing around a ``<function=...>`` block: models that were trained on this
form leave it out at times. A value that opens another one, and does not close it, is refused: a closing tag was
forgotten. Hermes's form is read too, also mixed, and written where a value cannot be held otherwise; so is JSON after
``<function=NAME>`` (see ``function_tag``), which is never written.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from agent_env.tools.formats.function_tag import FUNCTION, read_function_tag
from agent_env.tools.formats.hermes import fail_opening, read_json_block, refuse_lost, skip_call_end, write_json_block
from agent_env.tools.formats.json_call import Block, skip_blank

_OPENING = re.compile(r"<tool_call>\s*|<function=")
_NAME = re.compile(r"([\w.-]+)>")
_TAG_WITHIN = re.compile(
    r"^(?P<opening><parameter=[\w.-]+>(?=[ \t\r]*$)|(?:<tool_call>\s*)?<function=[\w.-]+>\s*<parameter=[\w.-]+>)"
    r"|(?P<lost></parameter>\s*(?:<function=[\w.-]+>|</?tool_call>))|</parameter>",
    re.MULTILINE,
)

_VALUE_END = re.compile(r"</parameter>(?=\s*(?:<parameter=[\w.-]+>|</function>))")


class Qwen:
    """See the module."""

    name: ClassVar[str] = "qwen"
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
            call, position = self._read_block(text, opening)
            calls.append(call)
        refuse_lost([*gaps, text[position:]][1:])
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``. Arguments that are not text are written as JSON, and so are read back as its
        text."""
        return "\n".join(map(self._write_block, calls))

    def _read_block(self, text: str, opening: re.Match[str]) -> Block:
        if opening.group() == "<function=":
            return _read_function(text, opening.start())
        if text.startswith("{", opening.end()):
            return read_json_block(text, opening.end())
        if not text.startswith("<function=", opening.end()):
            fail_opening(text, opening.end(), "<function=NAME>")
        return _read_function(text, opening.end())

    def _write_block(self, call: ToolCall) -> str:
        values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in call.arguments.items()}
        lines = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
        text = f"<tool_call>\n<function={call.name}>\n{lines}</function>\n</tool_call>"
        return text if self._reads_as(text, ToolCall(call.name, values)) else write_json_block(call)

    def _reads_as(self, text: str, call: ToolCall) -> bool:
        try:
            return self.read(text) == [call]
        except CallFormatError:
            return False


def _read_function(text: str, start: int) -> Block:
    """Read from ``<function=`` on."""
    if tag := FUNCTION.match(text, start):
        return _skip_end(text, read_function_tag(text, tag))
    name = _NAME.match(text, start + len("<function="))
    if not name:
        raise CallFormatError(f"expected <function=NAME>, got {text[start : start + 40]!r}")
    arguments: dict[str, Any] = {}
    position = skip_blank(text, name.end())
    while text.startswith("<parameter=", position):
        key = _NAME.match(text, position + len("<parameter="))
        if not key:
            got = text[position : position + 40]
            raise CallFormatError(f"in <function={_brief(name)}> expected <parameter=NAME>, got {got!r}")
        end = _VALUE_END.search(text, key.end())
        if not end:
            raise CallFormatError(
                f"<parameter={_brief(key)}> of {_brief(name)} is not closed by </parameter> and </function>"
            )
        if key[1] in arguments:
            raise CallFormatError(f"{_brief(name)} got <parameter={_brief(key)}> twice")
        arguments[key[1]] = _read_value(text[key.end() : end.start()], key)
        position = skip_blank(text, end.end())
    if not text.startswith("</function>", position):
        got = text[position : position + 40]
        raise CallFormatError(f"in <function={_brief(name)}> expected <parameter=NAME> or </function>, got {got!r}")
    return _skip_end(text, Block(ToolCall(name[1], arguments), position + len("</function>")))


def _skip_end(text: str, block: Block) -> Block:
    return block._replace(end=skip_call_end(text, block.end))


def _read_value(shown: str, key: re.Match[str]) -> str:
    value = shown.removeprefix("\n").removesuffix("\n")
    if lost := _find_lost(value):
        raise CallFormatError(
            f"<parameter={_brief(key)}> holds {lost.group().strip()[:80]!r}: a closing tag was forgotten; "
            "where it belongs to the text, write the call as JSON between <tool_call> and </tool_call>"
        )
    return value


def _find_lost(value: str) -> re.Match[str] | None:
    """What in a value says that its own closing tag is missing, so that it took one of another value: a line that
    opens a value which it does not close, or a closing tag before one of the next call. Other tags are mere text."""
    opened = None
    for tag in _TAG_WITHIN.finditer(value):
        if tag["lost"] or (opened and tag["opening"]):
            return tag
        opened = tag if tag["opening"] else None
    return opened


def _brief(name: re.Match[str]) -> str:
    return name[1][:80]
