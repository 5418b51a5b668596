"""Start processes from one thread that lives as long as this process.

bubblewrap asks the kernel to be killed with its parent, and to the kernel the parent is the *thread* that started it: a
sandbox started by a worker thread would die with that thread.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

_spawners: dict[int, ThreadPoolExecutor] = {}
"""By process id: a forked child must not wait for a thread that it does not have."""


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    """Start a process as ``subprocess.Popen`` does, as a child of the spawning thread."""
    spawner = _spawners.get(os.getpid())
    if spawner is None:
        spawner = _spawners.setdefault(os.getpid(), ThreadPoolExecutor(1, "repodojo-spawn"))
    return spawner.submit(
        subprocess.Popen,
        command,
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
    ).result()
