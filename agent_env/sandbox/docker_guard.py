"""One small process beside each host process that uses Docker: when that one dies, however it does, it removes what was
left. A container is no child of ours, so nothing else would end it before the next start.
"""

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path

_guards: dict[int, "subprocess.Popen[bytes]"] = {}
"""By process id of the guarded process."""

_lock = threading.Lock()

_HERE = str(Path(__file__).resolve().parents[2])
"""Where this package is imported from, which may be no entry of the path but the current directory."""

_WAIT_THEN_REAP = (
    "import os, select, sys; poll = select.poll(); poll.register(os.pidfd_open(int(sys.argv[1])), select.POLLIN); "
    "poll.poll(); from agent_env.sandbox.docker import DockerBackend; DockerBackend().reap()"
)
"""Nothing is imported before the end comes, so that it costs little while it waits."""


def ensure_guard() -> None:
    """Start this process's guard, where it has none."""
    with _lock:
        if os.getpid() in _guards:
            return
        _guards[os.getpid()] = subprocess.Popen(
            [sys.executable, "-c", _WAIT_THEN_REAP, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([_HERE, *filter(None, sys.path)])},
            cwd="/",
        )


@atexit.register
def _dismiss() -> None:
    """An orderly end: the sandboxes are closed by their own exit handler."""
    guard = _guards.pop(os.getpid(), None)
    if guard is not None:
        guard.kill()
        guard.wait()
