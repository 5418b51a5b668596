"""The tools against a real sandbox: what they do, and what they say to every kind of bad call."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent_env.sandbox.base import Sandbox, SandboxSpec, StopCause
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.tools import Observation, Toolbox, ToolCall
from agent_env.tools.arguments import MAX_TEXT_CHARS
from agent_env.tools.bash import SUBMIT_LINE
from agent_env.tools.edit_history import MAX_BYTES, EditHistory
from agent_env.tools.observation import clip

TOOLS = Toolbox(command_timeout=10, chars=2000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    layer = tmp_path_factory.mktemp("layer")
    (layer / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (layer / "bytes.bin").write_bytes(b"\xff\xfe\0\1")
    (layer / "nul.txt").write_bytes(b"a\0b")
    (layer / "pkg").mkdir()
    (layer / "pkg" / "m.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    sandbox = BubblewrapBackend().create(SandboxSpec(layers=(layer,)))
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


def run(sandbox: Sandbox, name: str, **arguments: Any) -> str:
    return TOOLS.execute(sandbox, ToolCall(name, arguments)).text


def edit(sandbox: Sandbox, command: str, path: str = "a.py", **arguments: Any) -> str:
    return run(sandbox, "edit", command=command, path=path, **arguments)


class TestBash:
    def test_output(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "bash", command="cat a.py | head -n 1") == "one = 1"

    def test_the_shell_keeps_its_state(self, sandbox: Sandbox) -> None:
        run(sandbox, "bash", command="cd pkg; X=5")
        assert run(sandbox, "bash", command="pwd; echo $X") == "/testbed/pkg\n5"

    def test_silence_is_told(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "bash", command="true") == "[no output]"
        assert run(sandbox, "bash", command="") == "[no output]"

    def test_failure_is_told(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "bash", command="false") == "[exit code 1]"
        assert run(sandbox, "bash", command="echo x; exit_code=3; (exit 3)") == "x\n[exit code 3]"

    @pytest.mark.parametrize("timeout", [0.2, "0.2"])
    def test_timeout_keeps_what_was_printed(self, sandbox: Sandbox, timeout: object) -> None:
        observation = TOOLS.execute(sandbox, ToolCall("bash", {"command": "echo x; sleep 60", "timeout": timeout}))
        assert observation.stopped is StopCause.TIMEOUT
        assert observation.text.startswith("x\n")
        assert "\n[timed out after 0.2 s" in observation.text
        assert run(sandbox, "bash", command="echo still here") == "still here"

    def test_no_longer_timeout_than_allowed(self, sandbox: Sandbox) -> None:
        observation = Toolbox(command_timeout=0.3).execute(
            sandbox, ToolCall("bash", {"command": "sleep 60", "timeout": 1e9})
        )
        assert "[timed out after 0.3 s" in observation.text

    def test_a_shell_that_ends_is_replaced(self, sandbox: Sandbox) -> None:
        said = run(sandbox, "bash", command="exit 3")
        assert "shell was restarted" in said
        assert said.endswith("[the command ended the shell]")
        assert run(sandbox, "bash", command="pwd") == "/testbed"

    @pytest.mark.parametrize("command", ["kill -9 -1", "(sleep 0.1; kill -9 -1) & true", "kill -9 $$", "kill -9 1"])
    def test_what_kills_all_takes_no_tool_away(self, sandbox: Sandbox, command: str) -> None:
        run(sandbox, "bash", command=f"echo kept > kept; {command}")
        for _ in range(3):
            assert edit(sandbox, "view", "kept") == "1\tkept"
            time.sleep(0.1)
        assert edit(sandbox, "create", "b.py", file_text="x").startswith("Created")
        run(sandbox, "bash", command="true")
        assert run(sandbox, "bash", command="cat kept b.py") == "kept\nx"

    def test_long_output_is_cut_in_the_middle(self, sandbox: Sandbox) -> None:
        text = run(sandbox, "bash", command="seq 100000")
        assert text.startswith("1\n2\n")
        assert text.endswith("\n100000")
        assert "cut ...]" in text
        assert len(text) < 2100

    def test_bytes_that_are_no_text(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "bash", command="printf 'a\\0b'") == "a\ufffdb"
        assert "\ufffd" in run(sandbox, "bash", command="head -c 2 bytes.bin")


class TestView:
    def test_all(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "view") == "1\tone = 1\n2\ttwo = 2\n3\tthree = 3"

    @pytest.mark.parametrize("lines", [[2, 3], "[2, 3]", [2, -1], [2, 99]])
    def test_a_range(self, sandbox: Sandbox, lines: object) -> None:
        assert edit(sandbox, "view", view_range=lines) == "2\ttwo = 2\n3\tthree = 3\n[3 lines in all]"

    @pytest.mark.parametrize("lines", [[0, 1], [3, 2], [4, 5], [1], [1, 2, 3]])
    def test_a_range_that_is_none(self, sandbox: Sandbox, lines: list[int]) -> None:
        assert str(lines) in edit(sandbox, "view", view_range=lines)
        assert "expected" in edit(sandbox, "view", view_range=lines)

    def test_absolute_path(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "view", "/testbed/a.py", view_range=[1, 1]).startswith("1\tone = 1")

    def test_what_cannot_be_viewed(self, sandbox: Sandbox) -> None:
        assert "does not exist" in edit(sandbox, "view", "b.py")
        assert "is a directory" in edit(sandbox, "view", "pkg")
        assert "not UTF-8" in edit(sandbox, "view", "bytes.bin")
        assert "not a text file" in edit(sandbox, "view", "nul.txt")
        assert "cannot view" in edit(sandbox, "view", "/dev/null")

    def test_an_empty_file(self, sandbox: Sandbox) -> None:
        sandbox.write("empty", b"")
        assert edit(sandbox, "view", "empty") == "empty is empty"


class TestCreate:
    def test_a_new_file_in_new_folders(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "create", "x/y/z.py", file_text="a\nb") == "Created x/y/z.py (2 lines)."
        assert sandbox.read("x/y/z.py") == b"a\nb"

    def test_over_an_old_file(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "create", file_text="") == "Overwrote a.py (0 lines)."
        assert sandbox.read("a.py") == b""

    def test_where_it_cannot_be(self, sandbox: Sandbox) -> None:
        assert "is a directory" in edit(sandbox, "create", "pkg", file_text="x")
        assert "cannot create /usr/x" in edit(sandbox, "create", "/usr/x", file_text="x")


class TestReplace:
    def test_once(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "str_replace", old_str="two = 2", new_str="two = 22") == "Replaced line 2 of a.py."
        assert sandbox.read("a.py") == b"one = 1\ntwo = 22\nthree = 3\n"

    def test_several_lines_by_nothing(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "str_replace", old_str="one = 1\ntwo = 2\n") == "Replaced lines 1-2 of a.py."
        assert sandbox.read("a.py") == b"three = 3\n"

    def test_many_places(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", "pkg/m.py", old_str="    return 1", new_str="    return 2")
        assert "occurs 2 times in pkg/m.py, at lines 2, 6" in said
        assert sandbox.read("pkg/m.py").count(b"return 1") == 2

    def test_very_many_places(self, sandbox: Sandbox) -> None:
        sandbox.write("many", b"a" * 3_000_000)
        assert "more than 10 times" in edit(sandbox, "str_replace", "many", old_str="a", new_str="b")

    def test_places_that_overlap_are_several(self, sandbox: Sandbox) -> None:
        sandbox.write("o", b"aXaXa")
        assert "occurs 2 times" in edit(sandbox, "str_replace", "o", old_str="aXa", new_str="b")

    def test_other_blanks_are_pointed_out(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", "pkg/m.py", old_str="def g():\n  return 1", new_str="x")
        assert said.endswith("with other blanks it stands at line 5:\ndef g():\n    return 1")

    def test_a_similar_line_is_pointed_out(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", old_str="thee = 3", new_str="x")
        assert said == "Error: old_str does not occur in a.py. The most similar line is 3:\nthree = 3"

    def test_nothing_alike(self, sandbox: Sandbox) -> None:
        assert "copy the text exactly" in edit(sandbox, "str_replace", old_str="class Foo:", new_str="x")
        assert "old_str is empty" in edit(sandbox, "str_replace", old_str="", new_str="x")
        assert "old_str is blank" in edit(sandbox, "str_replace", old_str="\n\n\n\n", new_str="x")

    def test_crlf_files_stay_crlf(self, sandbox: Sandbox) -> None:
        sandbox.write("w.txt", b"a\r\nb\r\nc\r\n")
        edit(sandbox, "str_replace", "w.txt", old_str="a\nb", new_str="x\ny")
        edit(sandbox, "insert", "w.txt", insert_line=1, new_str="i\nj")
        assert sandbox.read("w.txt") == b"x\r\ni\r\nj\r\ny\r\nc\r\n"

    def test_no_special_meaning_of_backslashes_and_groups(self, sandbox: Sandbox) -> None:
        edit(sandbox, "str_replace", old_str="two = 2", new_str=r"two = '\1\n\g<0>$1'")
        assert rb"two = '\1\n\g<0>$1'" in sandbox.read("a.py")


class TestInsert:
    @pytest.mark.parametrize(
        ("line", "new", "content"),
        [
            (0, "zero", b"zero\none = 1\ntwo = 2\nthree = 3\n"),
            ("1", "x\n", b"one = 1\nx\ntwo = 2\nthree = 3\n"),
            (3, "a\nb", b"one = 1\ntwo = 2\nthree = 3\na\nb\n"),
            (2, "", b"one = 1\ntwo = 2\n\nthree = 3\n"),
        ],
    )
    def test_lines(self, sandbox: Sandbox, line: object, new: str, content: bytes) -> None:
        assert edit(sandbox, "insert", insert_line=line, new_str=new).startswith("Inserted ")
        assert sandbox.read("a.py") == content

    def test_after_a_last_line_without_end(self, sandbox: Sandbox) -> None:
        sandbox.write("a.py", b"a")
        edit(sandbox, "insert", insert_line=1, new_str="b")
        assert sandbox.read("a.py") == b"a\nb"

    def test_into_an_empty_file(self, sandbox: Sandbox) -> None:
        sandbox.write("a.py", b"")
        edit(sandbox, "insert", insert_line=0, new_str="b")
        assert sandbox.read("a.py") == b"b\n"

    def test_out_of_range(self, sandbox: Sandbox) -> None:
        assert "has 3 lines: expected 0 to 3" in edit(sandbox, "insert", insert_line=4, new_str="x")
        assert "expected 0 to 3" in edit(sandbox, "insert", insert_line=-1, new_str="x")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("python", {}, "no tool 'python'. The tools are: bash, edit, search, submit"),
        ("x" * 500, {}, "no tool 'xxx"),
        ("bash", {}, "argument 'command' is missing. Expected: command (string), timeout (number, optional)"),
        ("bash", {"command": None}, "argument 'command' is missing"),
        ("bash", {"cmd": "ls", "command": "ls"}, "unknown argument 'cmd'"),
        ("bash", {"command": 7}, "argument 'command': Input should be a valid string, got 7"),
        ("bash", {"command": ["ls", "-l"]}, "argument 'command': Input should be a valid string"),
        ("bash", {"command": "ls", "timeout": "soon"}, "got 'soon'"),
        ("bash", {"command": "ls", "timeout": float("nan")}, "timeout"),
        ("bash", {"command": "ls", "timeout": -1}, "timeout"),
        ("bash", {"command": "a\0b"}, "NUL"),
        ("bash", {"command": "\ud800"}, "not valid Unicode"),
        ("bash", {"command": "x" * (MAX_TEXT_CHARS + 1)}, f"at most {MAX_TEXT_CHARS}"),
        ("submit", {"answer": "42"}, "unknown argument 'answer'. Expected: no arguments"),
        ("edit", {"command": "view"}, "argument 'path' is missing"),
        ("edit", {"command": "undo", "path": "a.py"}, "'view', 'create', 'str_replace', 'insert' or 'undo_edit'"),
        ("edit", {"command": "undo_edit", "path": "never.py"}, "no edit of never.py to undo"),
        ("edit", {"command": "undo_edit", "path": "a.py", "new_str": "x"}, "undo_edit does not take new_str"),
        ("edit", {"command": "create", "path": "b.py", "file_text": ["x"]}, "got ['x']"),
        ("edit", {"command": "create", "path": "b.py", "file_text": "x" * 10_000_000}, "is 10000000 characters"),
        ("edit", {"command": "create", "path": "b.py", "file_text": "\udc80"}, "not valid Unicode"),
        ("search", {}, "give pattern"),
        ("search", {"pattern": "x\ny"}, "line break"),
        ("search", {"pattern": "("}, "no regular expression"),
        ("search", {"glob": "pkg/*.py"}, "Folders go into path"),
        ("search", {"pattern": "x", "path": ""}, "path is empty"),
        ("search", {"pattern": "x", "path": "nowhere"}, "nowhere does not exist"),
        ("search", {"pattern": 7}, "got 7"),
        ("search", {"pattern": "x", "limit": 5}, "unknown argument 'limit'"),
        ("edit", {"command": "view", "path": " "}, "'path' is empty"),
        ("edit", {"command": "create", "path": "b.py"}, "create needs file_text. It takes: path, file_text"),
        ("edit", {"command": "view", "path": "a.py", "old_str": "x"}, "view does not take old_str"),
        ("edit", {"command": "str_replace", "path": "a.py"}, "str_replace needs old_str"),
        ("edit", {"command": "insert", "path": "a.py", "insert_line": "two", "new_str": "x"}, "got 'two'"),
        ("edit", {"command": "view", "path": "a.py", "view_range": "all"}, "view_range"),
        ("edit", {"command": "view", "path": "a.py", "view_range": "[" * 100_000}, "view_range"),
        ("edit", {"command": "view", "path": "a" * 5000}, "cannot view"),
    ],
)
def test_bad_calls_are_answered(sandbox: Sandbox, name: str, arguments: dict[str, Any], says: str) -> None:
    text = run(sandbox, name, **arguments)
    assert text.startswith("Error: ")
    assert says in text
    assert len(text) <= 2100
    assert run(sandbox, "bash", command="cat a.py") == "one = 1\ntwo = 2\nthree = 3"


def test_null_arguments_count_as_absent(sandbox: Sandbox) -> None:
    assert run(sandbox, "bash", command="echo x", timeout=None) == "x"


def test_submit(sandbox: Sandbox) -> None:
    assert TOOLS.execute(sandbox, ToolCall("submit")) == Observation("Submitted.", submitted=True)


def test_the_editor_follows_no_link_to_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    run(sandbox, "bash", command=f"ln -s {secret} link; ln -s ../../../../{secret} up")
    for path in ("link", "up", str(secret), f"../../../..{secret}"):
        assert "does not exist" in edit(sandbox, "view", path)


class TestUndo:
    def test_edits_come_back_one_by_one(self, sandbox: Sandbox) -> None:
        tools = Toolbox(chars=2000)

        def undo(path: str = "a.py") -> str:
            return tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": path})).text

        states = [sandbox.read("a.py")]
        for arguments in (
            {"command": "str_replace", "old_str": "two = 2", "new_str": "two = 22"},
            {"command": "insert", "insert_line": 0, "new_str": "zero = 0"},
            {"command": "create", "file_text": "all = new\n"},
        ):
            tools.execute(sandbox, ToolCall("edit", {**arguments, "path": "a.py"}))
            states.append(sandbox.read("a.py"))
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "b.py", "file_text": "b"}))
        for left, state in reversed(list(enumerate(states[:-1]))):
            assert undo("/testbed/./a.py").endswith(f"it is as before that. Edits left to undo there: {left}.")
            assert sandbox.read("a.py") == state
        assert undo() == ("Error: there is no edit of a.py to undo: edit has not changed it, or all is undone already.")
        assert "it is removed again" in undo("b.py")
        assert "does not exist" in tools.execute(sandbox, ToolCall("edit", {"command": "view", "path": "b.py"})).text
        assert sandbox.diff() == ""

    def test_an_edit_that_failed_leaves_no_trace(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        for arguments in ({"command": "str_replace", "old_str": "absent", "new_str": "x"}, {"command": "view"}):
            tools.execute(sandbox, ToolCall("edit", {**arguments, "path": "a.py"}))
        said = tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": "a.py"})).text
        assert said.startswith("Error: there is no edit")

    def test_what_others_changed_since_is_told(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "a.py", "file_text": "x"}))
        sandbox.run("echo more >> a.py", timeout=5)
        said = tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": "a.py"})).text
        assert "what other commands had changed in it since is gone too" in said
        assert sandbox.read("a.py").startswith(b"one = 1")

    def test_an_undo_that_fails_can_be_tried_again(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        undo = ToolCall("edit", {"command": "undo_edit", "path": "d/b.py"})
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "d/b.py", "file_text": "x"}))
        sandbox.run("rm d/b.py; mkdir d/b.py", timeout=5)
        assert "is a directory" in tools.execute(sandbox, undo).text
        sandbox.run("rmdir d/b.py", timeout=5)
        assert tools.execute(sandbox, undo).text.startswith("Undid the last edit of d/b.py")

    def test_the_memory_of_edits_is_bounded(self) -> None:
        history = EditHistory()
        for number in range(30):
            history.record(f"{number}", b"x" * (MAX_BYTES // 10), b"")
        assert sum(history.count(f"{number}") for number in range(30)) == 10
        assert history.count("29") == 1


class TestSearch:
    def test_lines_sorted_by_path(self, sandbox: Sandbox) -> None:
        sandbox.write("z/b.py", b"return 9\n")
        assert run(sandbox, "search", pattern="return [0-9]") == (
            "pkg/m.py:2:    return 1\npkg/m.py:6:    return 1\nz/b.py:1:return 9"
        )
        assert run(sandbox, "search", pattern="return", path="z") == "z/b.py:1:return 9"
        assert run(sandbox, "search", pattern="return", path="z/b.py") == "z/b.py:1:return 9"
        assert run(sandbox, "search", pattern="return", glob="m.*").count("\n") == 1

    def test_names(self, sandbox: Sandbox) -> None:
        sandbox.run("mkdir -p .git __pycache__; touch .git/x.py __pycache__/y.py", timeout=5)
        assert run(sandbox, "search", glob="*.py") == "a.py\npkg/m.py"
        assert run(sandbox, "search", glob="m.py", path="/testbed/pkg") == "/testbed/pkg/m.py"

    def test_nothing(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "search", pattern="absent") == "No line matches 'absent' under .."
        assert run(sandbox, "search", glob="*.rs") == "No file is named like *.rs under .."
        said = run(sandbox, "search", pattern="absent", glob="*.py", path="pkg")
        assert said == "No line matches 'absent' in files named like *.py under pkg."

    def test_binary_files_are_left_out(self, sandbox: Sandbox) -> None:
        assert "nul.txt" not in run(sandbox, "search", pattern="a")

    def test_hostile_words(self, sandbox: Sandbox) -> None:
        sandbox.write("-e; touch pwned/$(id) 'q'.py", b"-n --help $(id) `id` 'quoted'\n")
        for pattern in ("-n --help", "'quoted'", r"\$\(id\)", "`id`"):
            assert "pwned" in run(sandbox, "search", pattern=pattern, glob="* 'q'*")
        assert run(sandbox, "search", pattern="x", path="-e; touch pwned/$(id) 'q'.py").startswith("No line")
        assert sandbox.run("ls pwned", timeout=5).exit_code != 0

    def test_it_is_bounded(self, sandbox: Sandbox) -> None:
        sandbox.write("many.txt", b"needle\n" * 5000)
        sandbox.write("wide.txt", "nadel ä".encode() * 100_000)
        said = Toolbox().execute(sandbox, ToolCall("search", {"pattern": "needle"})).text
        assert said.endswith("\n[more than 100: only the first are shown; narrow the search]")
        assert said.count("needle") == 100
        assert len(run(sandbox, "search", pattern="nadel")) < 300

    @pytest.mark.parametrize(
        "setting", ["set -e", "set -u -o pipefail", "set -x", "grep() { echo fake; }; find() { :; }"]
    )
    def test_the_state_of_the_shell_does_no_harm(self, sandbox: Sandbox, setting: str) -> None:
        run(sandbox, "bash", command=f"cd pkg; {setting}; X=5")
        assert run(sandbox, "search", pattern="two = ") == "a.py:2:two = 2"
        assert run(sandbox, "search", pattern="absent").startswith("No line")
        assert run(sandbox, "bash", command="echo $PWD $X").endswith("/testbed/pkg 5")

    def test_a_search_that_takes_too_long(self, sandbox: Sandbox) -> None:
        tools = Toolbox(command_timeout=0.2)
        slow = "mkdir /tmp/slow; printf '#!/bin/sh\\nsleep 60' > /tmp/slow/find; chmod +x /tmp/slow/find"
        sandbox.run(f"{slow}; PATH=/tmp/slow:$PATH", timeout=5)
        seen = tools.execute(sandbox, ToolCall("search", {"pattern": "x"}))
        assert seen.stopped is StopCause.TIMEOUT
        assert "[timed out after 0.2 s" in seen.text
        assert run(sandbox, "bash", command="echo fine") == "fine"


class TestSubmitByOutput:
    def test_the_first_line_submits(self, sandbox: Sandbox) -> None:
        tools = Toolbox(shell_only=True, submits_by_output=True)
        assert list(tools.tools) == ["bash"]
        for command, submits in {
            f"echo {SUBMIT_LINE}": True,
            f"echo; echo ' {SUBMIT_LINE}'; echo more": True,
            f"echo {SUBMIT_LINE}; false": False,
            f"echo x; echo {SUBMIT_LINE}": False,
            f"echo {SUBMIT_LINE}X": False,
            f"echo {SUBMIT_LINE}; sleep 9": False,
        }.items():
            seen = tools.execute(sandbox, ToolCall("bash", {"command": command, "timeout": 0.3}))
            assert seen.submitted == submits, command
            assert not TOOLS.execute(sandbox, ToolCall("bash", {"command": command, "timeout": 0.3})).submitted


class TestSchemas:
    def test_they_are_plain(self) -> None:
        for declared in TOOLS.schemas():
            assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "default"} & set(
                json.dumps(declared).split('"')
            )
            properties = declared["function"]["parameters"]["properties"]
            assert all({"type", "description"} <= set(about) for about in properties.values())

    def test_openai(self) -> None:
        """As the API reference has it: a function tool with a name of the allowed letters and a JSON schema object."""
        for declared in TOOLS.schemas("openai"):
            assert set(declared) == {"type", "function"}
            assert declared["type"] == "function"
            function = declared["function"]
            assert set(function) == {"name", "description", "parameters"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"])
            assert 0 < len(function["description"]) <= 1024
            check_object_schema(function["parameters"])

    def test_anthropic(self) -> None:
        """As the API reference has it: name, description and ``input_schema``, whose type is object."""
        for declared in TOOLS.schemas("anthropic"):
            assert set(declared) == {"name", "description", "input_schema"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", declared["name"])
            check_object_schema(declared["input_schema"])

    @pytest.mark.parametrize(
        ("name", "arguments", "valid"),
        [
            ("bash", {"command": "ls"}, True),
            ("bash", {"command": "ls", "timeout": 1.5}, True),
            ("bash", {"command": "ls", "timeout": -1}, False),
            ("bash", {"command": 7}, False),
            ("bash", {}, False),
            ("bash", {"command": "ls", "shell": "sh"}, False),
            ("edit", {"command": "view", "path": "a", "view_range": [1, 2]}, True),
            ("edit", {"command": "undo_edit", "path": "a"}, True),
            ("edit", {"command": "delete", "path": "a"}, False),
            ("edit", {"command": "view", "path": "a", "view_range": ["x"]}, False),
            ("search", {"pattern": "x", "glob": "*.py", "path": "a"}, True),
            ("submit", {}, True),
            ("submit", {"answer": 42}, False),
        ],
    )
    def test_they_agree_with_the_check(
        self, sandbox: Sandbox, name: str, arguments: dict[str, Any], valid: bool
    ) -> None:
        (schema,) = [one["input_schema"] for one in TOOLS.schemas("anthropic") if one["name"] == name]
        assert Draft202012Validator(schema).is_valid(arguments) == valid
        said = run(sandbox, name, **arguments)
        assert ("Expected: " in said) == (not valid)


def check_object_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert set(schema) == {"type", "properties", "required", "additionalProperties"}
    assert set(schema["required"]) <= set(schema["properties"])


def test_clip_says_how_much_is_missing() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefgh", 4) == "ab\n[... 4 characters cut ...]\ngh"
