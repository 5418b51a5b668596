"""A first process that lost its bubblewrap is killed by the reaper; one that has it is not."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.orphans import kill_orphans
from agent_env.sandbox.processes import descendants
from agent_env.sandbox.shell import DRIVER

pytestmark = pytest.mark.sandbox

LOOK = f"echo $$; exec -a bwrap sh -c 'sleep 600; :' --args 3 sh -c '{DRIVER.splitlines()[0]}'"
"""A process with the command line of bubblewrap before it becomes the driver."""


@pytest.fixture
def parent() -> subprocess.Popen[str]:
    """Of a process that is number 1 of a namespace, and looks so."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "bash", "-c", LOOK]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_orphan_is_killed_and_nobody_else(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    box = BubblewrapBackend().create(SandboxSpec(layers=(tmp_path,)))
    assert parent.stdout is not None
    assert parent.stdout.readline() == "1\n"
    (orphan,) = descendants(parent.pid) - {parent.pid} - sleepers(parent.pid)
    watched = os.pidfd_open(orphan)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while not kill_orphans():  # until its command line is what it becomes
        assert time.monotonic() < deadline
    assert not is_running(watched)
    os.close(watched)
    assert box.run("echo alive", timeout=10).output == "alive\n"
    box.close()


def sleepers(pid: int) -> set[int]:
    """What of the processes below is the sleep itself."""
    return {one for one in descendants(pid) if Path(f"/proc/{one}/comm").read_text() == "sleep\n"}


def is_running(watched: int) -> bool:
    """Whether a process is still there, at the latest after a while."""
    for _ in range(1000):
        try:
            signal.pidfd_send_signal(watched, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.01)
    return True
