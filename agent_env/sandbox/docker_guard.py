"""One small process beside each host process that uses Docker: when that one dies, however it does, it removes what was
left. A container is no child of ours, so nothing else would end it before the next start.

It looks more than once: a container that was asked for just before the death is made by the daemon afterwards, and the
daemon itself may be away, as while it restarts.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

_guards: dict[int, "subprocess.Popen[bytes]"] = {}
"""By process id of the guarded process."""

_lock = threading.Lock()

_HERE = str(Path(__file__).resolve().parents[2])
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
from agent_env.sandbox.docker_guard import reap_after_death
reap_after_death()
"""
"""Nothing is imported before the end comes, so that it costs little while it waits."""

PAUSES = (0.0, 1.0, 4.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0)
"""Seconds before each look. A daemon that is away is waited for until all are over."""

_SETTLED_SECONDS = 60.0
"""Once it has answered, so long until nothing more can come; a request to it takes no longer (``docker_client``)."""

_has_left: set[int] = set()
"""Process ids of those that could not remove all that was theirs."""


def leave_to_guard() -> None:
    """Say that something of this process is left with the daemon, so that its guard looks also after an orderly end."""
    _has_left.add(os.getpid())


def reap_after_death() -> None:
    """Remove what dead host processes left, until all that they asked for must have come."""
    from agent_env.sandbox.docker import DockerBackend
    from tasks.errors import RepoDojoError

    answered = 0.0
    for pause in PAUSES:
        time.sleep(pause)
        with contextlib.suppress(RepoDojoError):
            DockerBackend().reap()
            answered = answered or time.monotonic()
        if answered and time.monotonic() >= answered + _SETTLED_SECONDS:
            return


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
    guard = _guards.get(os.getpid())
    if guard is not None and os.getpid() not in _has_left:
        guard.kill()
        guard.wait()
