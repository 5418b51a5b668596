"""First processes of sandboxes that lost bubblewrap before it could tie their lives to its own.

bubblewrap clones the first process of a sandbox, then maps its users, and only then does that process ask the kernel to
die with its parent. Killed in between, as with the whole host, bubblewrap leaves it waiting for ever. It is told by its
looks: our driver's command line, number 1 of a namespace of its own, and a parent that is not bubblewrap.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from agent_env.sandbox.shell import DRIVER

_NAME = b"bwrap"
_DRIVER = DRIVER.partition(".")[0].encode()
"""How the driver begins, in any version."""


def kill_orphans() -> int:
    """Kill this user's orphans; returns how many there were."""
    killed = 0
    for pid in _orphans():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            held = os.pidfd_open(pid)
            try:
                if _is_orphan(pid):  # still: the number may have been given to another process before it was held
                    signal.pidfd_send_signal(held, signal.SIGKILL)
                    killed += 1
            finally:
                os.close(held)
    return killed


def _orphans() -> Iterator[int]:
    return (pid for pid in (int(folder.name) for folder in Path("/proc").glob("[0-9]*")) if _is_orphan(pid))


def _is_orphan(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # hidden: another user's
        if not _is_driver(pid):
            return False
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        numbers = status["NSpid"].split()
        is_first = len(numbers) > 1 and numbers[-1] == "1"
        return is_first and int(status["Uid"].split()[0]) == os.getuid() and not _is_driver(int(status["PPid"]))
    return False


def _is_driver(pid: int) -> bool:
    """Whether a process is a bubblewrap that starts, or holds, a sandbox of ours."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return command[0] == _NAME and any(_DRIVER in part for part in command)
    return False
