"""The shell as a tool: output, state, timeouts, and a submit by what it prints."""

import re
import time

import pytest

from agent_env.sandbox.base import Sandbox, StopCause
from agent_env.tools import Toolbox, ToolCall
from agent_env.tools.bash import SUBMIT_LINE
from agent_env.tools.observation import clip
from tests.agent_env.tools.using import TOOLS, edit, run


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

    def test_what_the_sandbox_had_cut_already_is_counted(self, sandbox: Sandbox) -> None:
        text = run(sandbox, "bash", command="head -c 1000000 /dev/zero | tr '\\0' x")
        told = re.search(r"\[\.\.\. about (\d+) characters cut \.\.\.\]", text)
        assert told
        assert abs(int(told[1]) + text.count("x") - 1_000_000) < 50  # the sandbox's own mark is counted too

    def test_bytes_that_are_no_text(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "bash", command="printf 'a\\0b'") == "a\ufffdb"
        assert "\ufffd" in run(sandbox, "bash", command="head -c 2 bytes.bin")


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


def test_clip_says_how_much_is_missing() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefgh", 4) == "ab\n[... 4 characters cut ...]\ngh"
