"""Process trees as the host sees them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.sandbox.processes import FirstProcess, descendants, outnumber
from agent_env.sandbox.watch import memory_of


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    """A shell with a child and a grandchild."""
    command = "sleep 300 & (sleep 301; true) & echo ready; wait"
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        for _ in range(500):
            if len(descendants(shell.pid)) == 4:
                break
            time.sleep(0.01)
        yield shell
        for pid in descendants(shell.pid):
            os.kill(pid, signal.SIGKILL)


def test_descendants_are_all_below(family: "subprocess.Popen[str]") -> None:
    assert len(descendants(family.pid)) == 4
    assert family.pid in descendants(os.getpid())


def test_they_are_counted(family: "subprocess.Popen[str]") -> None:
    assert [outnumber(family.pid, most) for most in (3, 4, 5)] == [True, False, False]


def test_threads_count_as_processes_do() -> None:
    start = "threading.Thread(target=time.sleep, args=(300,)).start()"
    code = f"import threading, time\nfor _ in range(5): {start}\nprint(flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = [outnumber(process.pid, most) for most in (5, 6)]
        process.kill()
    assert found == [True, False]


def test_memory_counts_also_where_the_first_thread_is_dead() -> None:
    code = (
        "import ctypes, os, threading, time\nheld = b'x' * (50 << 20)\n"
        "threading.Thread(target=time.sleep, args=(300,)).start()\nprint(flush=True)\n"
        "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while ") Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            time.sleep(0.01)
        taken = memory_of({process.pid})
        process.kill()
    assert taken > 50 << 20


def test_a_first_process_is_known_by_descriptor_and_not_by_number() -> None:
    with subprocess.Popen(["sleep", "300"]) as process:
        first = FirstProcess(process.pid)
        assert not first.is_gone()
        assert not first.wait(0.01)
        first.kill()
        assert first.wait(10)
        process.wait()
    assert first.is_gone()
    first.kill()
    first.close()
