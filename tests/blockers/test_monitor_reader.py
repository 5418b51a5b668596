"""Shell text is read in another process: what ends or hangs that one never ends the host, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blockers.monitor import classify as classify_module
from blockers.monitor import wrappers
from blockers.monitor.classify import classify
from blockers.monitor.reader import ShellReader, UnreadableError
from blockers.monitor.shell import read_shell

FRAIL = """
import ctypes
from blockers.monitor import reader_child, shell
read = shell.read_shell
def frail(text):
    if "segfault" in text:
        ctypes.string_at(0)
    while "hang" in text:
        pass
    return [bytes] if "nonsense" in text else "x" * (1 << 34) if "memory" in text else read(text)
shell.read_shell = frail
reader_child.LIMITS = reader_child.LIMITS._replace(cpu_seconds=0.2)
reader_child.main()
"""
"""The real child around a grammar that fails as native code does."""


@pytest.fixture
def frail() -> Iterator[ShellReader]:
    reader = ShellReader([sys.executable, "-c", FRAIL])
    yield reader
    reader.close()


@pytest.mark.parametrize("word", ["segfault", "hang", "nonsense", "memory"])
def test_a_text_that_ends_the_reader_is_told_and_the_next_is_read(frail: ShellReader, word: str) -> None:
    with pytest.raises(UnreadableError, match="failed"):
        frail.read(f"echo {word}")
    assert frail.read("echo fine")[0].words == ("echo", "fine")
    with pytest.raises(UnreadableError):
        frail.read(f"echo {word}")


def test_it_is_an_event_of_the_call(frail: ShellReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrappers, "READER", frail)
    [found] = classify_module.classify("bash", {"command": "git log --all; segfault"}, "", turn=4)
    assert (found.vector, found.status, found.turn) == ("unreadable", "attempted", 4)
    assert "segfault" in found.evidence
    assert [event.vector for event in classify("bash", {"command": "git log --all"}, "", turn=5)] == ["git_history"]


def test_the_other_side_says_what_the_grammar_says() -> None:
    text = "A=1 timeout 5 sh -c \"$A 'x'\" <<E >> 'o ut' &\nb\u00e4 \ud800\nE\nwhile :; do echo \\'; done | cat <<< y"
    reader = ShellReader()
    assert reader.read(text) == read_shell(text)
    assert reader.read("") == []
    assert len(reader.read("true; " * 40_000)) > 30_000
    reader.close()


def test_a_child_that_was_killed_is_replaced_without_blame() -> None:
    reader = ShellReader()
    for _ in range(3):
        assert reader.read(f"echo {time.monotonic()}")[0].name == "echo"
        assert reader._child
        reader._child.kill()
        reader._child.wait()
    reader.close()


def test_threads_share_one_child() -> None:
    reader = ShellReader()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: reader.read(f"echo {number}")[0].words[1], range(200)))
    assert found == [str(number) for number in range(200)]
    reader.close()


HOST = """
import os, signal, sys, threading
from blockers.monitor.reader import READER
from blockers.monitor.wrappers import expand
assert expand('echo a')[0].name == 'echo'
child = READER._child.pid
if sys.argv[1] == 'fork':
    with READER._lock:
        forked = os.fork()
    if not forked:
        assert expand('echo b')[0].words == ('echo', 'b')
        print(READER._child.pid, flush=True)
        os._exit(0 if READER._child.pid != child else 3)
    assert os.waitpid(forked, 0)[1] == 0
    assert expand('echo c')[0].words == ('echo', 'c')
    assert READER._child.pid == child
print(child, flush=True)
if sys.argv[1] == 'kill':
    if not os.fork():  # holds the pipes open, as a worker might
        os.closerange(0, 3)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["exit", "fork"])
def test_nothing_outlives_its_host(how: str) -> None:
    done = host(how)
    assert done.returncode == 0, done.stderr
    wait_until_gone([int(word) for word in done.stdout.split()])


def test_a_host_that_is_killed_takes_it_along() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, "kill"], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    assert process.stdout
    with process.stdout as said:
        child = int(said.readline())
    try:
        assert process.wait() == -signal.SIGKILL
        wait_until_gone([child])
    finally:
        os.killpg(process.pid, signal.SIGKILL)


ROOT = Path(__file__).parents[2]


def host(how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", HOST, how]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"of {pids} some are alive"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
