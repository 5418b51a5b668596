"""Tool calls as text, in every form: read, refused with words that help, and written so that they are read back."""

import contextlib
import json
import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_env.tools import FORMATS, CallFormat, CallFormatError, ToolCall, choose_format, parse_calls
from agent_env.tools.bash import SUBMIT_LINE
from agent_env.tools.calls import MAX_CALLS, MAX_TURN_CHARS, check_calls
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
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
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
    *("<think>", "</think>", "\n<tool_call>\n", "<function=f>{", "<|eom_id|>", "f[ARGS]{", "[f(a=1)]", "#", "<<E\n"),
    *("<<'", "0x" + "f" * 4000, "9" * 4000, "[" * 984, "]" * 984),
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
        for call in read("".join(parts), FORMATS[name]):
            assert len(repr(call)) < 10_000


def check_none_is_lost(form: CallFormat, between: str) -> None:
    pwd = form.write([ToolCall("bash", {"command": "pwd"})])
    with contextlib.suppress(CallFormatError):
        calls = read(form.write([LS]) + between + pwd, form)
        assert LS in calls
        assert "pwd" in repr(calls), "as a call, or within one whose mark stood between"


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("bash", "pythonic")])
@settings(max_examples=60)
@given(parts=st.lists(st.sampled_from([mark for mark in MARKS if "think" not in mark]), max_size=8))
def test_no_call_with_a_mark_or_with_a_name_and_arguments_is_lost_whatever_stands_between_two(
    name: str, parts: list[str]
) -> None:
    check_none_is_lost(FORMATS[name], "".join(parts))


@pytest.mark.parametrize("name", FORMATS)
@given(parts=st.lists(st.sampled_from([" ", "\n", "\t", ";", ",", "</tool_call>", "</function>"]), max_size=8))
def test_no_call_that_directly_follows_another_is_lost_in_any_form(name: str, parts: list[str]) -> None:
    check_none_is_lost(FORMATS[name], "".join(parts))


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("value", [10**20, -(10**4000), json.loads("[" * 101 + "]" * 101)], ids=["20", "4000", "deep"])
def test_arguments_beyond_all_bounds_are_refused(name: str, value: object) -> None:
    form = FORMATS[name]
    with pytest.raises(CallFormatError, match="more than"):
        read(form.write([ToolCall("bash", {"timeout": value})]), form)
    with pytest.raises(CallFormatError, match="more than"):
        check_calls([ToolCall("bash", {"timeout": value})])


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_are_read_in_reasonable_time(name: str) -> None:
    form = FORMATS[name]
    call = ToolCall("bash", {"command": "echo '\\'\"" + "x" * 1_000_000})
    assert read(form.write([call]), form) == [call]
    for mark in MARKS:
        with contextlib.suppress(CallFormatError):
            read(mark * (200_000 // len(mark)), form)


@pytest.mark.parametrize(
    ("name", "start", "again"),
    [
        ("bash", "", "x```bash\n"),
        ("bash", "```bash\n", "<<'a "),
        ("auto", "", "x```bash\n"),
        ("pythonic", '[bash(command="', '\\"'),
        ("pythonic", "[bash(command='''", "\\'"),
        ("pythonic", "[bash(command=", "'''\\"),
        ("llama", '{"name": "f"}', " "),
        ("mistral", "[TOOL_CALLS]f[ARGS]{}", " "),
        ("hermes", '<tool_call>{"name": "f"}', "\n"),
        ("qwen", "<function=f>\n<parameter=a>\n", "</parameter> "),
        ("qwen", "", EXAMPLE + "</think>"),
        ("qwen", "", "<tool_call> </think>"),
        ("qwen", EXAMPLE, '{"arguments": {'),
        ("qwen", EXAMPLE, '{"id": "'),
        ("qwen", "<function=f>\n<parameter=a>\n", "<parameter=a>\n</parameter>\n"),
        ("bash", "```bash\n", "cat <<'E' <<F\n"),
        ("bash", "```bash\n", "<<'E'\nE\n\"<<"),
    ],
)
def test_no_text_takes_time_that_grows_with_its_square(name: str, start: str, again: str) -> None:
    with contextlib.suppress(CallFormatError):
        read(start + again * ((MAX_TURN_CHARS - len(start)) // len(again)), FORMATS[name])


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
        *[
            ("bash", f"```bash\n{command}\n```\nThat is x.", [ToolCall("bash", {"command": command})])
            for command in (
                "cat > a.py <<'EOF'\nmask = 1 << width\nEOF",
                "python3 -c 'n = 3; print(1 << n)'",
                "grep -rn 'cout << x' src",
                "cat > a <<'END-OF-FILE'\nx\nEND-OF-FILE",
                "python3 -c '\nx = 1 << n\nprint(x)'",
                "echo $((1 << width)) # <<'EOF'",
                "cat <<A <<'B' > c\na\nA\ncat <<'X'\nB\nwc <<< x",
                'git commit -m "$(cat <<\'EOF\'\nSay "x".\nEOF\n)"',
            )
        ],
        ("bash", "```bash\ncat > a <<'E'\nx\n```\n", [ToolCall("bash", {"command": "cat > a <<'E'\nx"})]),
        *[
            (name, FORMATS[name].write([LS]) + rest, [LS])
            for name, rest in (
                *[
                    (name, rest)
                    for name in ("qwen", "hermes", "llama", "mistral", "pythonic", "auto")
                    for rest in ('\nI expect {"name": "pkg"} in it', '\nOutput:\n{"name": "pkg"}', "\n`x = [f(a=1)]`.")
                ],
                ("hermes", '\n<tool_response>\n{"name": "pkg", "version": "1"}\n</tool_response>'),
                ("qwen", '\n<tool_response>\n{"name": "pkg", "version": "1"}\n</tool_response>'),
                ("hermes", "\nThe <function=bash> tag is not mine."),
                ("pythonic", "\nThen I call [submit()] at the end."),
                ("mistral", "\nconfig{x}"),
            )
        ],
        ("qwen", FORMATS["hermes"].write([LS]) + '\nI expect {"name": "pkg"} in it', [LS]),
        ("auto", FORMATS["llama"].write([LS]) + '\nOutput:\n{"name": "pkg"}', [LS]),
        *[
            (
                "llama",
                f'{{"name": "bash", "parameters": {{"command": "ls"}}}}{between}{{"name": "submit"}}',
                [LS, ToolCall("submit")],
            )
            for between in ("<|eom_id|>", "\n<|python_tag|>", "<|eom_id|><|python_tag|> ", "\n")
        ],
        ("llama", '<function=bash>{"command": "ls", "timeout": 5}</function><|eom_id|>', LOOK),
        ("llama", '<function=bash>{"command": "ls"}</function>\n<function=submit>{}', [LS, ToolCall("submit")]),
        ("auto", '<function=bash>{"command": "ls", "timeout": 5}</function>', LOOK),
        ("mistral", '[TOOL_CALLS]bash[ARGS]{"command": "ls"}submit[ARGS]{}', [LS, ToolCall("submit")]),
        ("mistral", '[TOOL_CALLS]bash{"command": "ls"}\nsubmit[CALL_ID]1[ARGS]{}', [LS, ToolCall("submit")]),
        ("pythonic", "[bash(command='ls')  # it's\n]", [LS]),
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
        ("bash", "```bash\ncat > R <<'A-B'\n```\nx\n```\nA-B\n```", "the block ends at its first line of ```"),
        ("bash", '```bash\ncat > R <<"A B"\n```\nx\n```\nA B\n```', "the block ends at its first line of ```"),
        ("bash", "```bash\nls", "no tool call"),
        ("hermes", '<tool_call>{"name": "a"}\n{"name": "b"}</tool_call>', "without <tool_call> before it"),
        ("hermes", '<tool_call>{"name": "a"}</tool_call>{"name": "b"}</tool_call>', "without <tool_call> before it"),
        *[
            (name, FORMATS[name].write([LS]) + rest, "another one begins")
            for name in ("qwen", "hermes", "llama")
            for rest in (
                '\nThen:\n{"name": "b", "arguments": {}}',
                '\nThen:\n{"type": "function", "name": "b", "parameters": {}}',
                '\nThen:\n{"arguments": {"command": "ls"}, "name": "bash"}',
            )
        ],
        ("hermes", FORMATS["hermes"].write([LS]) + '\n<function=bash>{"command": "rm x"}</function>', "another one"),
        ("hermes", '<function=bash>{"command": "rm x"}</function>' + FORMATS["hermes"].write([LS]), "another one"),
        ("hermes", FORMATS["hermes"].write([LS]) + EXAMPLE.replace("<tool_call>", ""), "with <function=NAME>"),
        ("qwen", EXAMPLE + '\n{"name": "submit"}', "without <tool_call> before it"),
        ("qwen", '<function=bash>{"command": "ls"}</function>{"name": "submit"}', "without <tool_call> before it"),
        ("llama", '{"name": "a"}\n[b()]', "after the calls another one begins"),
        ("llama", '{"name": "a"}\nThen:\n<function=b>{}', "after the calls another one begins"),
        *[
            ("bash", f"```bash\n{command}\n```\npip install x", "the block ends at its first line of ```")
            for command in (
                "cat > README.md <<'EOF'\n# T",
                "cat > README.md <<EOF\n# T",
                'cat <<-"EOF" > README.md\n# T',
                "cat <<EOF > README.md\n# T",
                "cat <<\\EOF | tee README.md\n# T",
                "cat > a <<'A'\nx\nA\ncat > b <<'B'\n# it's",
            )
        ],
        ("llama", '<|python_tag|>{"name": "a"}<|eom_id|><|python_tag|>print(1)', "after the calls another one begins"),
        ("llama", '[a()]{"name": "b"}', "after the calls another one begins"),
        ("pythonic", "[a()]\n[b()]", "after the list of calls another one begins"),
        ("pythonic", "[a(b=0x" + "f" * 4000 + ")]", "a whole number of more than 64 bits"),
        ("mistral", "[TOOL_CALLS]a[ARGS]{} and b[ARGS]{}", "another one begins without [TOOL_CALLS] before it"),
        ("mistral", "[TOOL_CALLS]a[ARGS]{}{}", "another one begins without [TOOL_CALLS] before it"),
        ("mistral", '[TOOL_CALLS][{"name": "a"}][{"name": "b"}]', "got '[{"),
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
