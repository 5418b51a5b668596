"""One small process beside each host process that uses Docker: when that one dies, however it does, it removes what was
left (``after_death``). A container is no child of ours, so nothing else would end it before the next start.
"""

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path

_guards: dict[int, "subprocess.Popen[bytes]"] = {}
"""By process id of the guarded process."""

_locks: dict[int, threading.Lock] = {}
"""By process id: a child may be forked while another thread holds its parent's."""

_HERE = str(Path(__file__).resolve().parents[3])
"""Where this package is imported from, which may be no entry of the path but the current directory."""

_WAIT_THEN_REAP = """
import os, select, sys
host = int(sys.argv[1])
try:
    held = os.pidfd_open(host)
except ProcessLookupError:
    pass
else:
    if os.getppid() == host:  # else it died before it could be held, and the number may be another's
        poll = select.poll()
        poll.register(held, select.POLLIN)
        poll.poll()
from agent_env.sandbox.docker.after_death import reap_after_death
reap_after_death()
"""
"""Nothing is imported before the end comes, so that it costs little while it waits."""

_has_left: set[int] = set()
"""Process ids of those that could not remove all that was theirs."""


def leave_to_guard() -> None:
    """Say that something of this process is left with the daemon, so that its guard looks also after an orderly end."""
    _has_left.add(os.getpid())


def ensure_guard() -> None:
    """Start this process's guard, where it has none."""
    with _locks.setdefault(os.getpid(), threading.Lock()):
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
    guard = _guards.get(os.getpid())
    if guard is not None and os.getpid() not in _has_left:
        guard.kill()
        guard.wait()
