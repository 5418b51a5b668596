"""Commands in the persistent shell: what they give, how they are cut short, what lives on."""

import time

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Sandbox, StopCause
from tests.conformance.commands import MakeSandbox, text


def test_output_holds_both_streams_in_the_order_written(box: Sandbox) -> None:
    assert text(box, "echo 1; echo 2 >&2; echo 3") == "1\n2\n3\n"


def test_a_failing_command_gives_its_exit_status(box: Sandbox) -> None:
    done = box.run("(exit 7)", timeout=5)
    assert (done.exit_code, done.stopped) == (7, None)


def test_an_unknown_command_gives_127(box: Sandbox) -> None:
    assert box.run("no-such-program", timeout=5).exit_code == 127


def test_no_output_is_an_empty_text(box: Sandbox) -> None:
    assert text(box, ":") == ""


def test_an_empty_command_succeeds(box: Sandbox) -> None:
    assert text(box, "") == ""


def test_output_without_a_newline_at_the_end_stays_so(box: Sandbox) -> None:
    assert text(box, "printf abc") == "abc"


def test_a_long_output_loses_its_middle_and_says_how_much(box: Sandbox) -> None:
    output = text(box, "echo begin; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end")
    cut = 1_000_000 + len("begin\n\nend\n") - 20_000
    assert f"[... {cut} bytes cut ...]" in output
    assert output.startswith("begin\nxxx")
    assert output.endswith("xxx\nend\n")


def test_a_very_long_line_does_not_stop_the_shell(box: Sandbox) -> None:
    text(box, "head -c 30000000 /dev/zero | tr '\\0' y")
    assert text(box, "echo ok") == "ok\n"


def test_utf8_passes(box: Sandbox) -> None:
    assert text(box, "echo 'héllo — 世界 🐍'") == "héllo — 世界 🐍\n"


def test_bytes_that_are_not_utf8_are_replaced(box: Sandbox) -> None:
    assert text(box, "printf 'a\\xff\\xfeb'") == "a��b"


def test_nul_carriage_return_and_ansi_codes_pass(box: Sandbox) -> None:
    assert text(box, "printf 'a\\0b\\rc\\033[31md'") == "a\0b\rc\033[31md"


def test_bytes_that_look_like_frames_are_mere_output(box: Sandbox) -> None:
    assert text(box, "printf '\\0d 1 0\\0x 0\\0'") == "\0d 1 0\0x 0\0"


def test_a_command_with_a_nul_byte_is_refused(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="NUL"):
        box.run("echo a\0b", timeout=5)
    assert text(box, "echo ok") == "ok\n"


def test_a_program_that_does_not_wait_for_its_output_leaves_no_other_so(box: Sandbox, python: str) -> None:
    text(box, f"{python} -c 'import os; [os.set_blocking(number, False) for number in (0, 1, 2)]'")
    done = box.run(f"{python} -c 'import sys; sys.stderr.write(\"x\" * 3_000_000)' && echo whole", timeout=20)
    assert (done.exit_code, done.output[-10:]) == (0, "xxxxwhole\n")


def test_standard_input_is_empty(box: Sandbox) -> None:
    assert text(box, "cat; read -r line || echo none") == "none\n"


def test_commands_see_none_of_the_shells_own_descriptors(box: Sandbox) -> None:
    assert text(box, "ls /proc/self/fd").split() == ["0", "1", "2", "3"]  # 3 is ls's own


def test_the_directory_persists(box: Sandbox) -> None:
    text(box, "cd pkg")
    assert text(box, "pwd; cd ..") == "/testbed/pkg\n"


def test_cwd_is_for_one_command(box: Sandbox) -> None:
    assert text(box, "pwd", cwd="/tmp") == "/tmp\n"
    assert text(box, "pwd") == "/testbed\n"


def test_a_cwd_that_does_not_exist_fails_and_says_so(box: Sandbox) -> None:
    done = box.run("echo no", timeout=5, cwd="/nowhere")
    assert (done.exit_code, done.output) == (1, "cd: no such directory\n")


def test_variables_exports_functions_and_options_persist(box: Sandbox) -> None:
    text(box, "plain=1; export shown=2; f() { echo f$plain; }; shopt -s extglob; declare -A map=([k]=v)")
    assert text(box, "f; printenv shown; echo ${map[k]}; shopt extglob").split() == ["f1", "2", "v", "extglob", "on"]


def test_background_jobs_persist(box: Sandbox) -> None:
    text(box, "sleep 30 & job=$!")
    assert text(box, "kill -0 $job && echo alive; kill $job") == "alive\n"


def test_a_background_job_does_not_hold_the_command(box: Sandbox) -> None:
    assert box.run("sleep 30 & echo $!", timeout=5).stopped is None
    text(box, "kill %%; wait")


def test_heredocs_and_many_lines_work(box: Sandbox) -> None:
    assert text(box, "cat <<'END'\n$a 'b'\nEND\nfor i in 1 2\ndo echo $i\ndone") == "$a 'b'\n1\n2\n"


@pytest.mark.parametrize("command", ["echo 'a", 'echo "a', "echo $(", "if true; then", "cat <<X\nhi", "}", "((", "`"])
def test_broken_syntax_does_not_wedge_the_shell(box: Sandbox, command: str) -> None:
    box.run(command, timeout=5)
    assert text(box, "echo ok") == "ok\n"


@pytest.mark.parametrize("command", ["break", "continue", "break 9", "return", "shift", "set -- a b; set -u; set +u"])
def test_control_words_do_not_break_the_driver(box: Sandbox, command: str) -> None:
    assert box.run(command, timeout=5).stopped is not StopCause.TIMEOUT
    assert text(box, "echo ok") == "ok\n"


@pytest.mark.parametrize(
    ("command", "status"), [("exit 3", 3), ("exec true", 0), ("set -e; false", 1), ("kill -9 $$", 137)]
)
def test_a_shell_that_ends_is_replaced_and_this_is_said(box: Sandbox, command: str, status: int) -> None:
    text(box, "cd /tmp")
    done = box.run(command, timeout=5)
    assert (done.exit_code, done.stopped) == (status, StopCause.SHELL_DIED)
    assert "the shell was restarted" in done.output
    assert text(box, "pwd") == "/testbed\n"


def test_a_shell_that_died_between_commands_is_replaced(box: Sandbox) -> None:
    text(box, "(sleep 0.1; kill -9 $$) & sleep 0")
    time.sleep(0.4)
    done = box.run("echo next", timeout=5)
    assert done.exit_code == 0
    assert "the shell was restarted" in done.output
    assert done.output.endswith("next\n")


def test_a_command_that_kills_all_costs_the_next_one_nothing(box: Sandbox) -> None:
    text(box, "cd /tmp")
    killing = box.run("kill -9 -1", timeout=5)
    time.sleep(0.4)
    done = box.run("echo next; pwd", timeout=5)
    assert (done.exit_code, done.stopped) == (0, None)
    assert done.output.endswith("next\n/testbed\n")
    assert "all processes were killed; the shell was restarted" in killing.output + done.output


def test_a_shell_without_its_descriptors_is_replaced(box: Sandbox) -> None:
    box.run('for n in {3..250}; do eval "exec $n>&-"; done 2>/dev/null', timeout=3)
    box.run(":", timeout=3)
    assert text(box, "echo ok") == "ok\n"


def test_a_shell_that_died_twice_between_commands_is_replaced(box: Sandbox) -> None:
    shell = "$(cat /proc/$PPID/task/$PPID/children)"
    text(box, f"(for turn in 1 2; do sleep 0.2; kill -9 {shell}; done) & sleep 0")
    time.sleep(1)
    done = box.run("echo next", timeout=5)
    assert (done.exit_code, done.stopped) == (0, None)
    assert done.output.endswith("next\n")
    assert text(box, "echo ok") == "ok\n"


def test_a_trap_that_kills_all_does_not_hide_the_timeout(box: Sandbox) -> None:
    text(box, "mkfifo /tmp/never")
    done = box.run("trap 'read -t 0.3 <> /tmp/never; kill -9 $PPID; sleep 30' ERR; sleep 30", timeout=0.4)
    assert (done.exit_code, done.stopped) == (None, StopCause.TIMEOUT)
    assert text(box, "rm /tmp/never; echo ok") == "ok\n"


def test_a_limit_on_idle_shells_does_not_end_this_one(fresh: Sandbox) -> None:
    text(fresh, "kept=yes; readonly TMOUT=1")
    for _ in range(2):
        time.sleep(1.2)
        assert text(fresh, "echo $kept") == "yes\n"


def test_a_stopped_shell_is_replaced(box: Sandbox) -> None:
    done = box.run("kill -STOP $$", timeout=0.3)
    assert done.stopped is StopCause.TIMEOUT
    assert text(box, "echo ok") == "ok\n"


def test_traps_do_not_hold_the_shell(box: Sandbox) -> None:
    text(box, "trap '' TERM INT HUP; trap 'echo bye' EXIT")
    assert box.run("sleep 30", timeout=0.3).stopped is StopCause.TIMEOUT
    assert text(box, "echo ok; trap - TERM INT HUP EXIT") == "ok\n"


def test_a_timeout_ends_the_command_and_keeps_the_shell(box: Sandbox) -> None:
    text(box, "kept=yes; cd pkg")
    done = box.run("sleep 30", timeout=0.3)
    assert (done.exit_code, done.stopped) == (None, StopCause.TIMEOUT)
    assert text(box, "echo $kept $PWD; cd ..") == "yes /testbed/pkg\n"


def test_a_timeout_keeps_what_was_printed(box: Sandbox) -> None:
    assert box.run("echo early; sleep 30", timeout=0.5).output.startswith("early\n")


@pytest.mark.parametrize("loop", ["while :; do :; done", "while :; do sleep 0.01; done", "yes"])
def test_an_endless_loop_ends_at_its_timeout(box: Sandbox, loop: str) -> None:
    assert box.run(loop, timeout=0.3).stopped is StopCause.TIMEOUT
    assert text(box, "echo ok") == "ok\n"


def test_output_after_a_flood_belongs_to_its_own_command(box: Sandbox) -> None:
    box.run("yes", timeout=0.3)
    for word in ("one", "two", "three"):
        assert text(box, f"echo {word}") == f"{word}\n"


@pytest.mark.parametrize(
    "spawn",
    [
        "sleep 301 & sleep 301",
        "nohup sleep 302 >/dev/null 2>&1 & sleep 302",
        "setsid sleep 303 & sleep 303",
        "(setsid bash -c '(sleep 304 &) &' &); sleep 304",
        "(trap '' TERM HUP INT; sleep 305) & sleep 305",
    ],
    ids=["background", "nohup", "session", "double-fork", "deaf"],
)
def test_a_timeout_kills_the_whole_tree(box: Sandbox, spawn: str) -> None:
    text(box, "sleep 0.01")
    box.run(spawn, timeout=0.4)
    assert "cmdline" not in text(box, "grep -l ^sleep /proc/[0-9]*/cmdline || true")


def test_a_fork_bomb_is_ended_and_the_sandbox_lives(make: MakeSandbox) -> None:
    box = make()
    try:
        box.run("f() { f | f & }; f; sleep 30", timeout=1)
        assert text(box, "echo ok") == "ok\n"
    finally:
        box.close()


def test_a_large_command_is_taken_whole(box: Sandbox) -> None:
    assert text(box, f"printf %s {'x' * 100_000} | wc -c") == "100000\n"


def test_a_command_that_is_not_taken_in_time_is_a_timeout(fresh: Sandbox) -> None:
    text(fresh, "(until [ -e /tmp/now ]; do sleep 0.05; done; kill -STOP $$) &")
    fresh.write("/tmp/now", b"")
    time.sleep(0.5)
    assert fresh.run(f": {'x' * 1_000_000}", timeout=0.5).stopped is StopCause.TIMEOUT
    assert text(fresh, "echo ok") == "ok\n"


def test_seconds_are_the_commands_wall_time(box: Sandbox) -> None:
    assert box.run("sleep 0.2", timeout=5).seconds >= 0.2


def test_a_stopped_sandbox_refuses_commands(fresh: Sandbox) -> None:
    fresh.stop()
    with pytest.raises(SandboxError, match="stopped"):
        fresh.run("echo", timeout=1)


def test_a_hundred_commands_leave_no_process(box: Sandbox) -> None:
    before = text(box, "set -- /proc/[0-9]*; echo $#")
    for _ in range(100):
        box.run("/bin/true", timeout=5)
    assert int(text(box, "set -- /proc/[0-9]*; echo $#")) <= int(before)
