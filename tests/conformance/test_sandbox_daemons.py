"""Programs inside that hide from the end of a command, or speak on the shell's streams in its place."""

import threading
import time
from pathlib import Path

import pytest

from agent_env.sandbox import snapshot
from agent_env.sandbox.base import Sandbox, StopCause
from tests.conformance.commands import text

BEAT = "open('/tmp/beat', 'a').write('.'); time.sleep(0.0005)"

WANDERS = f"""
import os, time
while True:
    if os.fork():
        os._exit(0)
    {BEAT}
"""
"""From process to process."""

HEADLESS = f"""
import ctypes, os, threading, time
def beat():
    while True:
        {BEAT}
threading.Thread(target=beat).start()
ctypes.CDLL(None).syscall({{"x86_64": 60, "aarch64": 93}}[os.uname().machine], 0)
"""
"""Its first thread is dead, so that it looks dead itself."""

IMPOSTOR = f"""
import os, sys, time
{BEAT}
with open(f'/proc/{{sys.argv[1]}}/fd/4', 'wb') as stream:
    stream.write(b'r %d\\0' % os.getpid())
while True:
    {BEAT}
"""
"""Says on the driver's stream that it is the new shell."""

FLOOD = """
import sys
with open(f'/proc/{sys.argv[1]}/fd/4', 'wb') as stream:
    while True:
        stream.write(b'r %d\\0' % int(sys.argv[2]) * 10_000)
"""
"""Says there that the shell is ready, again and again."""


def start(box: Sandbox, python: str, program: str) -> str:
    """A command that starts a program which beats, in the background, and waits for its first beat."""
    box.write("/tmp/daemon.py", program.encode())
    return f"{python} /tmp/daemon.py $PPID & until [ -e /tmp/beat ]; do sleep 0.01; done"


def beats(box: Sandbox) -> bool:
    """Whether something beats."""
    before = box.read("/tmp/beat")
    text(box, "sleep 0.1")
    return box.read("/tmp/beat") != before


@pytest.mark.parametrize("program", [WANDERS, HEADLESS], ids=["wanders", "headless"])
def test_a_timeout_kills_a_daemon_that_hides(fresh: Sandbox, python: str, program: str) -> None:
    for _ in range(12):
        text(fresh, start(fresh, python, program))
        done = fresh.run("sleep 30", timeout=0.2)
        assert done.stopped is StopCause.TIMEOUT
        assert not beats(fresh)
        text(fresh, "rm /tmp/beat")


def test_a_timeout_kills_a_daemon_that_passes_for_the_shell(fresh: Sandbox, python: str) -> None:
    fresh.run(f"{start(fresh, python, IMPOSTOR)}; sleep 1", timeout=10)
    fresh.run("sleep 30", timeout=0.4)
    assert not beats(fresh)
    assert text(fresh, "echo ok") == "ok\n"


def test_a_flood_of_words_on_the_shells_stream_does_not_hold_the_host(fresh: Sandbox, python: str) -> None:
    fresh.write("/tmp/flood.py", FLOOD.encode())
    rescue = threading.Timer(40, fresh.kill)
    rescue.start()
    fresh.run(f"{python} /tmp/flood.py $PPID $$ & sleep 1", timeout=20)
    time.sleep(0.5)
    assert fresh.run("echo never", timeout=60).stopped is StopCause.SHELL_DIED
    assert rescue.is_alive()
    rescue.cancel()
    assert text(fresh, "echo ok").endswith("ok\n")


@pytest.mark.parametrize("program", [WANDERS, HEADLESS], ids=["wanders", "headless"])
def test_nothing_runs_while_files_are_frozen(
    fresh: Sandbox, python: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text(fresh, start(fresh, python, program))
    copy, sizes = snapshot.copy_files, []

    def look_and_copy(source: Path, target: Path) -> None:
        for _ in range(2):
            sizes.append((source.parent / "tmp" / "beat").stat().st_size)
            time.sleep(0.05)
        copy(source, target)

    monkeypatch.setattr(snapshot, "copy_files", look_and_copy)
    fresh.snapshot().close()
    assert len(sizes) == 6
    assert len(set(sizes)) == 1
    assert beats(fresh)


def test_a_stopped_job_is_stopped_still_after_a_snapshot(fresh: Sandbox) -> None:
    text(fresh, "state() { cut -d ' ' -f 3 /proc/$1/stat; }; sleep 300 & job=$!; sleep 300 & other=$!")
    text(fresh, "kill -STOP $job; until [ \"$(state $job; state $other)\" = $'T\\nS' ]; do sleep 0.01; done")
    fresh.snapshot().close()
    assert text(fresh, "state $job; state $other").split() == ["T", "S"]
