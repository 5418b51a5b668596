"""The shell protocol, spoken with a real bash on plain pipes, and with streams made up byte by byte."""

import os
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.shell import Frame, Shell, driver_command
from agent_env.sandbox.transport import PipeTransport, Received, ShellGoneError, ShellPipes

MARK = "0123456789abcdef"


def soon() -> float:
    return time.monotonic() + 10


@pytest.fixture
def shell() -> Iterator[Shell]:
    command, status, output = os.pipe(), os.pipe(), os.pipe()
    with subprocess.Popen(driver_command(MARK), stdin=command[0], stdout=status[1], stderr=output[1]) as driver:
        for end in (command[0], status[1], output[1]):
            os.close(end)
        shell = Shell(PipeTransport(ShellPipes(command[1], status[0], output[0])), MARK)
        assert shell.wait(BoundedOutput(0), soon()).kind == "r"  # type: ignore[union-attr]
        yield shell
        shell.close()
        driver.kill()


def ask(shell: Shell, command: str, cwd: str | None = None) -> tuple[str, Frame | None]:
    output = BoundedOutput(1 << 20)
    shell.send(command, cwd, soon())
    frame = shell.wait(output, soon())
    return output.text(), frame


def test_a_command_gives_output_and_status(shell: Shell) -> None:
    assert ask(shell, "echo hi; (exit 4)") == ("hi\n", Frame("d", 4, 1))
    assert ask(shell, "echo $?") == ("0\n", Frame("d", 0, 2))


def test_a_shell_that_ends_says_so_and_a_new_one_comes(shell: Shell) -> None:
    assert ask(shell, "exit 9")[1] == Frame("x", 9, 9)
    frame = shell.wait(BoundedOutput(0), soon())
    assert frame is not None
    assert frame.kind == "r"
    assert ask(shell, "echo on")[0] == "on\n"


def test_no_answer_by_the_deadline_is_none(shell: Shell) -> None:
    shell.send("sleep 5", None, soon())
    assert shell.wait(BoundedOutput(0), time.monotonic() + 0.05) is None


def test_the_late_answer_of_an_old_command_is_not_taken_for_a_new_one(shell: Shell) -> None:
    shell.send("sleep 0.3; echo late", None, soon())
    assert shell.wait(BoundedOutput(0), time.monotonic() + 0.05) is None
    assert ask(shell, "(exit 3)")[1] == Frame("d", 3, 2)
    assert ask(shell, "echo now") == ("now\n", Frame("d", 0, 3))


def test_a_dead_driver_is_told(shell: Shell) -> None:
    shell.send("kill -9 $PPID $$", None, soon())
    with pytest.raises(ShellGoneError):
        shell.wait(BoundedOutput(0), soon())


def test_sending_to_nobody_is_told() -> None:
    (reader, writer), status, output = os.pipe(), os.pipe(), os.pipe()
    shell = Shell(PipeTransport(ShellPipes(writer, status[0], output[0])), MARK)
    os.close(reader)
    with pytest.raises(ShellGoneError):
        shell.send("echo", None, soon())
    shell.close()
    for end in (status[1], output[1]):
        os.close(end)


def test_a_command_that_nobody_takes_is_a_timeout() -> None:
    command, status, output = os.pipe(), os.pipe(), os.pipe()
    shell = Shell(PipeTransport(ShellPipes(command[1], status[0], output[0])), MARK)
    with pytest.raises(TimeoutError):
        shell.send("x" * 1_000_000, None, time.monotonic() + 0.05)
    shell.close()
    for end in (command[0], status[1], output[1]):
        os.close(end)


def test_the_end_of_the_command_stream_ends_the_driver() -> None:
    done = subprocess.run(driver_command(MARK), stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    assert done.returncode == -9


class Script:
    """A transport that plays what it was given, one piece at a time."""

    def __init__(self, pieces: list[tuple[bytes, bytes]]) -> None:
        self.pieces = pieces
        self.sent = b""

    def send(self, data: bytes, deadline: float) -> None:
        self.sent += data

    def receive(self, seconds: float) -> Received:
        status, output = self.pieces.pop(0) if self.pieces else (b"", b"")
        return Received(status, output, not self.pieces)

    def close(self) -> None: ...


def play(pieces: list[tuple[bytes, bytes]]) -> tuple[str, Frame | None]:
    shell = Shell(Script(pieces), MARK)
    shell.send("x", None, soon())
    output = BoundedOutput(1 << 20)
    frame = shell.wait(output, soon())
    return output.text(), frame


def end(number: int) -> bytes:
    return b"\0%s %d\0" % (MARK.encode(), number)


@given(st.data())
def test_however_the_streams_are_cut_the_answer_is_the_same(data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=40)) + data.draw(st.sampled_from([b"", b"\0", b"\0" + MARK.encode()]))
    streams = [(True, b"d 1 7\0"), (False, body + end(1))]
    if data.draw(st.booleans()):
        streams.reverse()
    pieces = []
    for is_status, stream in streams:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)) | {0, len(stream)})
        pieces += [(stream[a:b], b"") if is_status else (b"", stream[a:b]) for a, b in pairwise(cuts)]
    assert play(pieces) == (body.decode(errors="replace"), Frame("d", 7, 1))


def test_marks_of_other_commands_are_taken_out_of_the_output() -> None:
    assert play([(b"d 0 5\0", b"old" + end(0) + b"new"), (b"d 1 0\0", end(1))]) == ("oldnew", Frame("d", 0, 1))


def test_a_forged_mark_stays_in_the_output() -> None:
    forged = b"\0%s now\0" % MARK.encode()
    assert play([(b"d 1 0\0", forged + end(1))])[0] == forged.decode()


def test_what_is_no_frame_is_passed_over() -> None:
    junk = b"\0\0d\0d x\0d -1 2\0" + b"y" * 10_000 + b"\0\xff 1 1\0"
    assert play([(junk[:50], b""), (junk[50:], b""), (b"d 1 0\0", end(1))])[1] in (Frame("d", 0, 1), Frame("�", 1, 1))
