"""Thinking in a policy's text: calls only thought of are not run, and none that is made is taken for one."""

import pytest

from agent_env.tools import FORMATS, CallFormat, CallFormatError, ToolCall, parse_calls

LS = ToolCall("bash", {"command": "ls"})


def read(text: str, form: CallFormat) -> list[ToolCall]:
    return parse_calls(text, form)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("opened", ["<think>", "\n<think>\n", ""])
def test_what_is_thought_is_not_run(name: str, opened: str) -> None:
    form = FORMATS[name]
    draft, call = form.write([ToolCall("bash", {"command": "rm -rf x"})]), form.write([LS])
    assert read(f"{opened}Maybe\n{draft}\nor no.</think>\n{call}", form) == [LS]
    assert read(f"{opened}{draft}</think><think>{draft}</think>{call}", form) == [LS]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("before", ["", "I look. ", "<think>\n\n</think>\n"])
def test_an_end_of_thinking_within_a_call_is_its_text(name: str, before: str) -> None:
    form = FORMATS[name]
    for command in ("echo '</think>'", "echo '<think>x</think>' </think>"):
        call = ToolCall("bash", {"command": command})
        assert read(before + form.write([call]), form) == [call]


@pytest.mark.parametrize("name", FORMATS)
def test_thinking_that_does_not_end_holds_no_call(name: str) -> None:
    form = FORMATS[name]
    with pytest.raises(CallFormatError, match="<think> is not closed by </think>"):
        read("<think>Maybe\n" + form.write([LS]), form)


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_before_thinking_is_not_lost(name: str) -> None:
    form = FORMATS[name]
    call = form.write([LS])
    with pytest.raises(CallFormatError, match="a call stands before <think>"):
        read(f"{call}\n<think>Done?</think>{call}", form)
    with pytest.raises(CallFormatError):
        read(f"{call}\n<think>{call}</think>{call}", form)
