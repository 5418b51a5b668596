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


@pytest.mark.parametrize("name", ["bash", "auto"])
@pytest.mark.parametrize(
    "draft", ["```bash\na\n```\nor\n```bash\nb\n```\n", "```bash\ncat <<'E'\n```\nx\n", "```bash\na\n```\n```\n"]
)
def test_any_fenced_block_is_a_draft_where_thinking_ends_behind_it(name: str, draft: str) -> None:
    call = FORMATS["bash"].write([LS])
    assert read(f"{draft}</think>\n{call}", FORMATS[name]) == [LS]
    with pytest.raises(CallFormatError, match="a call stands before <think>"):
        read(f"{draft}<think>Done?</think>\n{call}", FORMATS[name])


@pytest.mark.parametrize("name", ["qwen", "hermes", "auto"])
@pytest.mark.parametrize(
    "thought",
    [
        "I write `<tool_call>` first.",
        "A <function=bash> tag.",
        "<tool_call>\n<function=bash> is it.",
        "<tool_call>",
    ],
)
def test_a_tag_that_a_thought_names_is_no_call(name: str, thought: str) -> None:
    form = FORMATS[name]
    call = ToolCall("bash", {"command": "echo '</think>'"})
    assert read(f"{thought}</think>\n{form.write([call])}", form) == [call]
    assert read(f"{form.write([LS])} {thought}</think>\n{form.write([call])}", form) == [call]
