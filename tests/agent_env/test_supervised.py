"""What the host believes of a supervisor's output."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent_env.grading.supervised import RUNNER_DIR, Said, _read
from agent_env.sandbox.base import CommandResult

SECRET = "5ec2e7" * 5
CHILD = 'import os, sys\nos.write(int(sys.argv[1]), sys.stdin.buffer.read())\nprint("said", os.environ["SEEN"])\n'


def supervise(folder: Path, request: bytes) -> bytes:
    """Run the supervisor on a child that reports what it was asked; what it printed."""
    (folder / "request").write_bytes(f"{SECRET}\0SEEN=a=b\nc\0\0".encode() + request)
    (folder / "child.py").write_text(CHILD)
    program = [sys.executable, "-I", "-S", str(RUNNER_DIR / "supervisor.py")]
    given = [str(folder / name) for name in ("request", "child.py", "said")]
    done = subprocess.run([*program, *given], capture_output=True, check=True)
    assert not (folder / "request").exists()
    return done.stdout


def read(output: str) -> Said:
    return _read(CommandResult(output, 0, None, 1.0), SECRET, 1.0)


@pytest.mark.parametrize(
    "results", [b"", b"one\ntwo\n", b"\xff\xfe\n\xe2\x82", b"a\0b\r\n\x1b[1m", b"\0\0 in the middle\0\0"]
)
def test_what_the_child_reported_arrives_whole(tmp_path: Path, results: bytes) -> None:
    said = read(supervise(tmp_path, results).decode(errors="replace"))
    assert said.lines == results.decode(errors="replace").split("\n")
    assert said.status == 0
    assert said.output.strip() == "said a=b\nc"


@pytest.mark.parametrize("before", ["", "noise", f"{SECRET[:-1]}\n", "x\n\n"])
def test_what_else_was_printed_counts_for_nothing(tmp_path: Path, before: str) -> None:
    assert read(before + supervise(tmp_path, b"one\n").decode()).lines == ["one", ""]


@pytest.mark.parametrize("cut", [(0, 60), (36, 41), (37, 38), (-40, -30), (-10, None)])
def test_a_report_with_a_piece_cut_out_is_none(tmp_path: Path, cut: tuple[int, int | None]) -> None:
    whole = supervise(tmp_path, b"one\ntwo\n").decode()
    start, end = cut
    assert read(whole[:start] + (whole[end:] if end is not None else "")).lines is None


def test_nothing_is_no_report() -> None:
    assert read("") == Said(None, None, "", None, 1.0)
    assert read("\n12345 0 3\none\n12345\n12345\n").lines is None
