"""Tool calls as text, in every form: read, refused with words that help, and written so that they are read back."""

import contextlib
import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_env.tools import FORMATS, CallFormat, CallFormatError, ToolCall, choose_format, parse_calls
from agent_env.tools.bash import SUBMIT_LINE
from agent_env.tools.calls import MAX_CALLS, MAX_TURN_CHARS
from tasks.errors import BadInputError

LS = ToolCall("bash", {"command": "ls"})
EXAMPLE = FORMATS["qwen"].write([LS])
STRUCTURED = ("hermes", "llama", "pythonic", "mistral")
"""Forms that keep numbers, lists and so on as they are."""


def read(text: str, form: CallFormat) -> list[ToolCall]:
    return parse_calls(text, form)


class TestChoice:
    def test_unknown_names_are_refused(self) -> None:
        with pytest.raises(BadInputError, match="call_format is 'xml'; expected one of qwen, hermes, llama"):
            choose_format("xml")

    @pytest.mark.parametrize("name", FORMATS)
    def test_each_form_reads_its_own_example_among_words(self, name: str) -> None:
        form = choose_format(name)
        assert form.name == name
        assert read(f"I look (a [b] {{c}}) around.\n{form.write([LS])}\nThen more.", form) == [LS]

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_turn_without_a_call_shows_the_right_form(self, name: str) -> None:
        form = choose_format(name)
        for text in ("", "I am done.", "x = {'a': [1, f(2)]} # [not, a, call]", "\ud800", "\0"):
            with pytest.raises(CallFormatError) as caught:
                read(text, form)
            assert "no tool call" in str(caught.value)
            assert str(caught.value).endswith(form.write([LS]))


ARGUMENTS: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.builds(
        ToolCall,
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name)),
        st.dictionaries(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True).filter(lambda key: not keyword.iskeyword(key)),
            ARGUMENTS,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", STRUCTURED)
@settings(max_examples=40)
@given(calls=CALLS, before=st.sampled_from(["", "Words. ", "Some\nlines\n"]))
def test_any_calls_round_trip_with_their_types(name: str, calls: list[ToolCall], before: str) -> None:
    form = choose_format(name)
    again = read(f"{before}{form.write(calls)}\n", form)
    assert again == calls
    assert [[type(value) for value in call.arguments.values()] for call in again] == [
        [type(value) for value in call.arguments.values()] for call in calls
    ]


MARKS = [
    *(
        "<tool_call>",
        "</tool_call>",
        "<function=f>",
        "<parameter=a>",
        "</function>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "```bash\n",
    ),
    *(
        "<|python_tag|>",
        "[f(",
        "(a=1)",
        ")]",
        "{",
        "}",
        '{"name": "f", "parameters": ',
        "[",
        "]",
        "\n```",
        "\n",
        "\\",
        "x",
    ),
    *('"', "'", "'''", '"' * 3, ";", ",", "r'", "\\N", "\\u12", "-", "*", "None"),
]


@pytest.mark.parametrize("name", STRUCTURED)
@settings(max_examples=60)
@given(parts=st.lists(st.sampled_from(MARKS)))
def test_values_made_of_marks_round_trip_in_every_form(name: str, parts: list[str]) -> None:
    call = ToolCall("bash", {"command": "".join(parts)})
    assert read(FORMATS[name].write([call, LS]), FORMATS[name]) == [call, LS]


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(parts=st.lists(st.sampled_from(MARKS)))
def test_garbage_raises_nothing_else_in_any_form(name: str, parts: list[str]) -> None:
    with contextlib.suppress(CallFormatError):
        assert read("".join(parts), FORMATS[name])


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_are_read_in_reasonable_time(name: str) -> None:
    form = FORMATS[name]
    call = ToolCall("bash", {"command": "echo '\\'\"" + "x" * 1_000_000})
    assert read(form.write([call]), form) == [call]
    for mark in MARKS:
        with contextlib.suppress(CallFormatError):
            read((mark * MAX_TURN_CHARS)[:200_000], form)


LOOK = [ToolCall("bash", {"command": "ls", "timeout": 5})]


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("hermes", '<tool_call>\n{"name": "bash", "arguments": {"command": "ls", "timeout": 5}}\n</tool_call>', LOOK),
        ("llama", '{"name": "bash", "parameters": {"command": "ls", "timeout": 5}}', LOOK),
        ("llama", '<|python_tag|>{"name": "bash", "parameters": {"command": "ls", "timeout": 5}}<|eom_id|>', LOOK),
        (
            "llama",
            '<|python_tag|> {"type": "function", "name": "bash", "arguments": {"command": "ls", "timeout": 5}}',
            LOOK,
        ),
        (
            "llama",
            '{"name": "bash", "parameters": {"command": "ls"}}; {"name": "submit", "parameters": {}}',
            [LS, ToolCall("submit")],
        ),
        ("llama", '[{"name": "bash", "parameters": {"command": "ls"}}, {"name": "submit"}]', [LS, ToolCall("submit")]),
        ("llama", '[bash(command="ls", timeout=5)]', LOOK),
        ("llama", "<|python_start|>[bash(command='ls', timeout=5)]<|python_end|>", LOOK),
        ("pythonic", '[bash(command="ls"), submit()]', [LS, ToolCall("submit")]),
        ("pythonic", "I look.\n[ bash( command = 'ls' ,timeout = 5, ) ] and go on [f(x", LOOK),
        (
            "pythonic",
            "[f(a=-1.5, b=[1, (2,)], c={'k': None}, d=true, e=null, g=False, h='it\\'s', i=r'\\d', j='\\d')]",
            [
                ToolCall(
                    "f",
                    {
                        **{"a": -1.5, "b": [1, [2]], "c": {"k": None}, "d": True, "e": None, "g": False},
                        **{"h": "it's", "i": "\\d", "j": "\\d"},
                    },
                )
            ],
        ),
        ("pythonic", "[edit(new_str='''two\nlines ']' ''')]", [ToolCall("edit", {"new_str": "two\nlines ']' "})]),
        ("mistral", '[TOOL_CALLS] [{"name": "bash", "arguments": {"command": "ls", "timeout": 5}}]', LOOK),
        (
            "mistral",
            '[TOOL_CALLS][{"name": "bash", "arguments": {"command": "ls"}, "id": "a1b2c3d4e"}, {"name": "submit"}]</s>',
            [LS, ToolCall("submit")],
        ),
        (
            "mistral",
            'I look.[TOOL_CALLS]bash[ARGS]{"command": "ls"}[TOOL_CALLS]submit[ARGS]{}',
            [LS, ToolCall("submit")],
        ),
        ("mistral", '[TOOL_CALLS]bash[CALL_ID]a1b2c3d4e[ARGS]{"command": "ls", "timeout": 5}', LOOK),
        ("mistral", '[TOOL_CALLS]bash{"command": "ls", "timeout": 5}', LOOK),
        ("bash", "THOUGHT: I look.\n\n```mswea_bash_command\nls\n```", [LS]),
        ("bash", "I look.\n```bash\n\nls  \n```\n```python\nprint(1)\n```", [LS]),
        (
            "bash",
            "```bash\r\ncat <<'EOF' > x\n a``` inline\nEOF\n```",
            [ToolCall("bash", {"command": "cat <<'EOF' > x\n a``` inline\nEOF"})],
        ),
        ("auto", EXAMPLE + "\n```bash\nnot this\n```", [LS]),
        ("auto", '```json\n{"a": 1}\n```\n[TOOL_CALLS]bash[ARGS]{"command": "ls"}', [LS]),
        ("auto", '<|python_tag|>{"name": "bash", "parameters": {"command": "ls"}}', [LS]),
        ("auto", "Look:\n```bash\nls\n```\nlike [f(x=1)]", [LS]),
        ("auto", "[bash(command='ls')]", [LS]),
    ],
)
def test_what_models_write(name: str, text: str, calls: list[ToolCall]) -> None:
    assert read(text, FORMATS[name]) == calls


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("hermes", "<tool_call>\n<function=bash>", "expected a JSON object, got '<function=bash>'"),
        ("hermes", '<tool_call>{"name": "bash", "arguments": {"timeout": NaN}}</tool_call>', "NaN is no JSON number"),
        ("hermes", '<tool_call>{"name": "bash", "arguments": {"timeout": 1e999}}</tool_call>', "1e999 is too large"),
        (
            "llama",
            "<|python_tag|>print(1)",
            "after <|python_tag|> expected a JSON object with a \"name\", got 'print(1)'",
        ),
        ("llama", "<|python_tag|>", "got ''"),
        ("llama", '{"name": "bash", "parameters": {"command": "ls"}', "does not parse"),
        ("llama", '{"name": "bash", "parameters": {}, "arguments": {}}', "both 'parameters' and 'arguments'"),
        ("llama", '{"parameters": {}}', 'needs "name"'),
        ("llama", '{"name": "bash", "parameters": "ls"}', "must be a JSON object; got str"),
        ("llama", '{"name": "bash"}; {"name": "submit", "x": 1}', "got also ['x']"),
        ("pythonic", "[bash('ls')]", "given by name; got Constant"),
        ("pythonic", "[bash(**{'command': 'ls'})]", "given by name; got **"),
        ("pythonic", "[bash(command=ls)]", "must be literals (text, numbers, lists, dictionaries); got Name"),
        (
            "pythonic",
            "[bash(command=open('/etc/passwd').read())]",
            "must be literals (text, numbers, lists, dictionaries); got Call",
        ),
        ("pythonic", "[bash(command=b'ls')]", "must be literals"),
        ("pythonic", "[bash(command=f'ls')]", "must be literals"),
        ("pythonic", "[bash(timeout=1e999)]", "must be literals"),
        ("pythonic", "[bash(command={1: 2})]", "keys of a dictionary must be text"),
        ("pythonic", "[bash(command='ls', command='x')]", "got the argument 'command' twice"),
        ("pythonic", "[bash(command='ls'), 7]", "must be a call NAME(...); got Constant"),
        ("pythonic", "[bash(command='ls')", "not closed"),
        ("pythonic", "[bash(command='ls)]", "does not parse"),
        ("pythonic", "[bash(command='\\x4')]", "does not parse"),
        ("pythonic", "[bash(command='\ud800')]", "does not parse"),
        ("pythonic", "[f(a=" + "[" * 5000 + "]" * 5000 + ")]", "does not parse"),
        ("pythonic", "[f(a=" + "-" * 100_000 + "1)]", "does not parse"),
        ("pythonic", "[f(a=" + "1" * 5000 + ")]", "does not parse"),
        ("pythonic", "[bash(command='ls') for x in y]", "must stand in one list"),
        ("mistral", "[TOOL_CALLS]", "expected NAME[ARGS]{...}, got ''"),
        ("mistral", "[TOOL_CALLS]bash[ARGS]ls", "got 'bash[ARGS]ls'"),
        ("mistral", '[TOOL_CALLS]bash[ARGS]{"command": "ls"', "the JSON after bash[ARGS] does not parse"),
        ("mistral", '[TOOL_CALLS] ["bash"]', "must be an object; got str"),
        ("mistral", '[TOOL_CALLS] [{"name": "bash", "parameters": {}}]', "got also ['parameters']"),
        ("mistral", "[TOOL_CALLS] []", "no tool call"),
        ("bash", "```bash\nls\n```\nthen\n```bash\npwd\n```", "the turn holds 2 fenced blocks; expected exactly one"),
        ("bash", "```bash\ncat > R.md <<'E'\n```\nx\n```\nE\n```", "the block ends at its first line of ```"),
        ("bash", "```bash\ncat > R.md <<'E'\n```py\nx\n```\nE\n```", "the block ends at its first line of ```"),
        ("bash", "```bash\nls", "no tool call"),
        ("bash", "```sh\nls\n```", "no tool call"),
        ("bash", EXAMPLE, "no tool call"),
        ("auto", "<tool_call>", "the turn ends at <tool_call>"),
        ("auto", "[TOOL_CALLS]", "expected NAME[ARGS]"),
        *[
            (name, FORMATS[name].write([LS]) * (MAX_CALLS + 1), f"at most {MAX_CALLS}")
            for name in ("hermes", "mistral")
        ],
    ],
)
def test_malformed_turns_of_every_form(name: str, text: str, says: str) -> None:
    with pytest.raises(CallFormatError) as caught:
        read(text, FORMATS[name])
    assert says in str(caught.value)
    assert str(caught.value).endswith(FORMATS[name].write([LS]))
    assert len(str(caught.value)) < 500


class TestBashBlock:
    def test_submitting_is_an_echo_alone(self) -> None:
        form = FORMATS["bash"]
        assert form.write([ToolCall("submit")]) == f"```bash\necho {SUBMIT_LINE}\n```"
        with pytest.raises(BadInputError, match="write two turns"):
            form.write([LS, ToolCall("submit")])

    def test_several_commands_make_one_block(self) -> None:
        text = FORMATS["bash"].write([LS, ToolCall("bash", {"command": "pwd"})])
        assert read(text, FORMATS["bash"]) == [ToolCall("bash", {"command": "ls\npwd"})]

    @pytest.mark.parametrize(
        "call",
        [
            ToolCall("bash", {"command": "echo '\n```\n'"}),
            ToolCall("bash", {"command": "ls", "timeout": 3}),
            ToolCall("edit", {"command": "view", "path": "a"}),
            ToolCall("search", {"pattern": "x"}),
        ],
    )
    def test_what_it_cannot_hold_is_refused(self, call: ToolCall) -> None:
        with pytest.raises(BadInputError, match="cannot"):
            FORMATS["bash"].write([call])


@pytest.mark.parametrize(
    ("name", "call"),
    [("pythonic", ToolCall("a.b")), ("pythonic", ToolCall("f", {"a b": 1})), ("mistral", ToolCall("a b"))],
)
def test_names_that_a_form_cannot_hold_are_refused(name: str, call: ToolCall) -> None:
    with pytest.raises(BadInputError, match="cannot be written"):
        FORMATS[name].write([call])
