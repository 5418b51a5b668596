"""Tool calls in the form that is the default, Qwen's XML: read, refused with words that help, and read back."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_env.tools import FORMATS, CallFormatError, ToolCall, parse_calls
from agent_env.tools.calls import MAX_CALLS, MAX_TURN_CHARS

LS = ToolCall("bash", {"command": "ls"})
QWEN = FORMATS["qwen"]
EXAMPLE = QWEN.write([LS])


def read(text: str) -> list[ToolCall]:
    return parse_calls(text, QWEN)


def format_call(call: ToolCall) -> str:
    return QWEN.write([call])


def xml(name: str, **arguments: str) -> str:
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def test_the_example_is_a_call() -> None:
    assert read(EXAMPLE) == [LS]
    assert format_call(LS) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "I look around.\n" + EXAMPLE,
        EXAMPLE + "\nand that is all",
        EXAMPLE.replace("\n", ""),
        "<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>",
        '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>',
        '<tool_call>{"arguments": {"command": "ls"}, "name": "bash"}</tool_call> there',
        '<tool_call>\n<function=bash>\n{"command": "ls"}\n</function>\n</tool_call>',
        '<function=bash>{"command": "ls"}</function>',
        '<tool_call>{"id": "7", "name": "bash", "arguments": {"command": "ls"}}',
        "<tool_call>\n\n  <function=bash>  <parameter=command>ls</parameter>\n\n</function>\n</tool_call>",
    ],
)
def test_forms_that_mean_the_same(text: str) -> None:
    assert read(text) == [LS]


def test_several_calls_of_both_forms_keep_their_order() -> None:
    text = f"one {EXAMPLE} two {format_call(ToolCall('submit'))} three "
    text += '<tool_call>{"name": "edit", "arguments": {"path": "a", "view_range": [1, 2]}}</tool_call>'
    assert read(text) == [LS, ToolCall("submit"), ToolCall("edit", {"path": "a", "view_range": [1, 2]})]


@pytest.mark.parametrize(
    "value",
    [
        "two\nlines",
        "\n",
        "\n\nblank around\n\n",
        "  indented\n    more",
        "",
        "a </parameter> inside",
        "<parameter=x>\n</function>",
        "x</parameter>\n</function>\n</tool_call>",
        "x</parameter>\n<parameter=y>",
        "<tool_call>\n<function=bash>",
        'quotes " and \\ backslashes \\n',
        "tabs\tand\r\nreturns\r",
        "界 😀 \u2028",
    ],
)
def test_values_survive(value: str) -> None:
    call = ToolCall("edit", {"path": "a.py", "new_str": value})
    assert read(f"Words.\n{format_call(call)}\nMore.") == [call]


@pytest.mark.parametrize(
    "value",
    [
        "<tool_call>",
        "Write\n<tool_call>\nJSON\n</tool_call>\n",
        "</tool_call>\n<tool_call>",
        "a\n<function=x>\nb",
        "<function=x>\n<parameter=x>\nb\n</parameter>\nand",
    ],
)
def test_lines_that_are_tags_are_text_in_a_value_that_is_closed(value: str) -> None:
    text = xml("edit", path="a.md", file_text=value, command="create")
    assert read(text) == [ToolCall("edit", {"path": "a.md", "file_text": value, "command": "create"})]


@settings(max_examples=40)
@given(
    st.from_regex(r"[\w.-]{1,10}", fullmatch=True),
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=60), max_size=4),
)
def test_any_call_of_texts_round_trips(name: str, arguments: dict[str, str]) -> None:
    call = ToolCall(name, arguments)
    assert read(format_call(call)) == [call]


@given(
    st.lists(
        st.sampled_from(
            [
                *("</parameter>", "<parameter=a>", "</function>", "<function=f>", "<tool_call>", "</tool_call>", "\n"),
                *("\n<tool_call>\n", "\n</tool_call> \n", "\n<function=f>\n", "\n<parameter=a>\r\n", "</think>", "{"),
            ]
        )
    )
)
def test_values_made_of_tags_round_trip(parts: list[str]) -> None:
    call = ToolCall("bash", {"command": "".join(parts), "timeout": "3"})
    assert read(format_call(call)) == [call]


def test_other_values_are_written_as_json() -> None:
    call = ToolCall("edit", {"view_range": [1, 40], "insert_line": 3})
    assert read(format_call(call)) == [ToolCall("edit", {"view_range": "[1, 40]", "insert_line": "3"})]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no tool call"),
        ("I am done.", "no tool call"),
        ("```bash\nls\n```", "no tool call"),
        ("<tool_call>", "ends at <tool_call>"),
        ("<tool_call>ls</tool_call>", "expected <function=NAME>, got 'ls"),
        ("<tool_call>\n<function=bash", "expected <function=NAME>"),
        ("<function=>", "expected <function=NAME>"),
        ("<function=bash>\nls\n</function>", "expected <parameter=NAME> or </function>, got 'ls"),
        ("<function=bash>\n<parameter=command>\nls", "not closed"),
        ("<function=bash>\n<parameter=command>\nls\n</parameter>", "not closed"),
        ("<function=bash>\n<parameter=a b>\nls\n</parameter></function>", "expected <parameter=NAME>"),
        (xml("bash", command="ls").replace("</function>", "<parameter=command>\nx\n</parameter></function>"), "twice"),
        (EXAMPLE.replace("</function>\n", "") + "\n" + EXAMPLE, "a closing tag was forgotten"),
        (EXAMPLE.replace("</function>\n", "").replace("\n", "") + EXAMPLE, "a closing tag was forgotten"),
        (
            EXAMPLE.replace("</parameter>\n</function>\n", "") + "\n" + EXAMPLE,
            "<parameter=command>': a closing tag was forgotten",
        ),
        (xml("bash", command="ls\n<parameter=timeout>\n5"), "holds '<parameter=timeout>'"),
        (xml("bash", command="ls\n<parameter=a>\n<parameter=b>\n5\n</parameter>\n"), "holds '<parameter=b>'"),
        (
            f"<function=bash>\n<parameter=command>ls\n</tool_call>\n{EXAMPLE}".replace("d>\nls\n<", "d>ls<"),
            "holds '<tool_call>\\n<function=bash>\\n<parameter=command>'",
        ),
        (xml("bash", command="ls\n</function>\n</tool_call>\n" + EXAMPLE), "<parameter=command>': a closing tag"),
        ('<function=bash>{"command": "ls"', "the JSON after <function=bash> does not parse"),
        ("<tool_call>{}</tool_call>", '"name"'),
        ('<tool_call>{"name": 7}</tool_call>', '"name"'),
        ('<tool_call>{"name": "a\\ud800"}</tool_call>', '"name"'),
        ('<tool_call>{"name": "bash", "arguments": "ls"}</tool_call>', "must be a JSON object; got str"),
        ('<tool_call>{"name": "bash", "parameters": {}}</tool_call>', "got also ['parameters']"),
        ('<tool_call>{"name": "bash", "arguments": {"command": "ls"', "does not parse"),
        ("<tool_call>{'name': 'bash'}</tool_call>", "does not parse"),
        ('<tool_call>{"name":' + "[" * 200_000, "does not parse"),
        ('<tool_call>{"name":' + "1" * 10_000, "does not parse"),
        (EXAMPLE * (MAX_CALLS + 1), f"at most {MAX_CALLS}"),
        ("x" * (MAX_TURN_CHARS + 1), f"longer than the {MAX_TURN_CHARS}"),
    ],
)
def test_malformed_turns_say_what_is_wrong_and_show_the_right_form(text: str, says: str) -> None:
    with pytest.raises(CallFormatError) as caught:
        read(text)
    assert says in str(caught.value)
    assert str(caught.value).endswith(EXAMPLE)
    assert len(str(caught.value)) < 500


@given(
    st.lists(st.sampled_from(["<tool_call>", "</tool_call>", "<function=a>", "</function>", "{", "}", '"', "x", "\n"]))
)
def test_garbage_never_raises_anything_else(parts: list[str]) -> None:
    with contextlib.suppress(CallFormatError):
        assert read("".join(parts))


def test_bare_line_breaks_inside_json_strings_are_let_pass() -> None:
    text = '<tool_call>{"name": "bash", "arguments": {"command": "a\nb"}}</tool_call>'
    assert read(text) == [ToolCall("bash", {"command": "a\nb"})]


def test_a_closing_tag_inside_a_json_string_does_not_end_the_call() -> None:
    arguments = {"command": "echo '</tool_call>'"}
    text = "<tool_call>" + json.dumps({"name": "bash", "arguments": arguments}) + "</tool_call>"
    assert read(text) == [ToolCall("bash", arguments)]
