"""What the host believes of a supervisor's output."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent_env.grading.supervised import RUNNER_DIR, Said, _read
from agent_env.sandbox.base import CommandResult

KEY, LABEL = "5ec2e7" * 10, "1abe1" * 6
CHILD = 'import os, sys\nos.write(int(sys.argv[1]), sys.stdin.buffer.read())\nprint("said", os.environ["SEEN"])\n'


def supervise(folder: Path, request: bytes) -> bytes:
    """Run the supervisor on a child that reports what it was asked; what it printed."""
    (folder / "request").write_bytes(f"{KEY}\0{LABEL}\0SEEN=a=b\nc\0\0".encode() + request)
    (folder / "child.py").write_text(CHILD)
    program = [sys.executable, "-I", "-S", str(RUNNER_DIR / "supervisor.py")]
    given = [str(folder / name) for name in ("request", "child.py", "said")]
    done = subprocess.run([*program, *given], capture_output=True, check=True)
    assert not (folder / "request").exists()
    return done.stdout


def read(output: str) -> Said:
    return _read(CommandResult(output, 0, None, 1.0), KEY, LABEL, 1.0)


@pytest.mark.parametrize(
    "results", [b"", b"one\ntwo\n", b"\xff\xfe\n\xe2\x82", b"a\0b\r\n\x1b[1m", b"\0\0 in the middle\0\0"]
)
def test_what_the_child_reported_arrives_whole(tmp_path: Path, results: bytes) -> None:
    said = read(supervise(tmp_path, results).decode(errors="replace"))
    assert said.lines == results.decode(errors="replace").split("\n")
    assert said.status == 0
    assert said.output.strip() == "said a=b\nc"


@pytest.mark.parametrize("noise", ["", "noise", f"{LABEL[:-1]}\n", "x\n\n", f" {LABEL}"])
def test_what_else_was_printed_counts_for_nothing(tmp_path: Path, noise: str) -> None:
    assert read(noise + supervise(tmp_path, b"one\n").decode()).lines == ["one", ""]


def test_a_report_with_a_piece_cut_out_is_none(tmp_path: Path) -> None:
    whole = supervise(tmp_path, b"one\ntwo\n").decode()
    true = read(whole)
    for at in range(len(whole)):
        found = read(whole[:at] + whole[at + 1 :])
        assert found == true or found.lines is None  # what stands between label and report carries nothing
        assert read(whole[:at]).lines is None or not whole[at:].strip()
        assert read(whole[:at] + whole[at + 9 :]).lines is None or not whole[at:].strip()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one", "two"),
        ("0 8\n", "0 9\n"),
        ("0 8\n", "x y\n"),
        ("0 8\n", "0\n"),
        ("0 8\n", f"{'9' * 5000} 8\n"),
        ("c\n", "d\n"),
    ],
)
def test_a_report_that_was_rewritten_is_none(tmp_path: Path, old: str, new: str) -> None:
    whole = supervise(tmp_path, b"one\ntwo\n").decode()
    assert old in whole
    assert read(whole.replace(old, new)).lines is None


def test_neither_key_nor_any_part_of_it_is_said(tmp_path: Path) -> None:
    assert KEY[:8] not in supervise(tmp_path, b"one\n").decode()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_labels_without_a_signature_are_no_report(count: int) -> None:
    assert read(f"\n{LABEL}\n0 3\none" * count) == Said(None, None, "", None, 1.0)


def test_another_report_beside_the_true_one_leaves_none(tmp_path: Path) -> None:
    whole = supervise(tmp_path, b"one\n").decode()
    forged = f"\n{LABEL}\n0 4\ntwo\n\n{LABEL} {'0' * 128}\n"
    assert read(whole + forged).lines is None
    assert read(forged + whole).lines is None
