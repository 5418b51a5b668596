"""The search as a tool."""

import pytest

from agent_env.sandbox.base import Sandbox, StopCause
from agent_env.tools import Toolbox, ToolCall
from tests.agent_env.tools.using import run


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

    @pytest.mark.parametrize("letter", ["y", "ä", "世"])
    def test_many_long_lines(self, sandbox: Sandbox, letter: str) -> None:
        sandbox.write("wide.txt", (f"needle {letter * 2000}\n" * 200).encode())
        said = Toolbox(chars=100_000).execute(sandbox, ToolCall("search", {"pattern": "needle"})).text
        *rows, note = said.split("\n")
        assert note == "[more than 100: only the first are shown; narrow the search]"
        assert [row.partition(":needle ")[0] for row in rows] == [f"wide.txt:{number}" for number in range(1, 101)]
        assert {row.partition(letter)[2].strip(letter) for row in rows} == {" [...]"}

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
