"""The processes of one sandbox, as the host sees them: all are descendants of the sandbox's first process."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_ROUNDS = 100
"""How often the survivors are killed again before giving up: more than a fork bomb under a process limit outlasts."""

_DYING_SECONDS = 2.0
"""How long killed processes may take to die here, on a machine under load."""


class FirstProcess:
    """The first process of a sandbox's namespace, held by descriptor: its number may be given to another after it died.

    When it dies, the kernel kills all others of its namespace, and says that it is dead after they are.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._using = threading.Lock()

    def is_gone(self) -> bool:
        """Whether it is dead."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait for its death; False where it still lived."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def kill(self) -> None:
        """Send SIGKILL, from any thread; being dead already, or let go of, is fine."""
        with self._using, contextlib.suppress(ProcessLookupError):
            if self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the descriptor."""
        with self._using:  # else a kill from another thread could hit whoever gets its number next
            descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def descendants(pid: int) -> set[int]:
    """``pid`` and all processes below it; a process whose parent died hangs below the namespace's first process."""
    found = {pid}
    for _ in _walk(found):
        pass
    return found


def outnumber(pid: int, most: int) -> bool:
    """Whether ``pid`` and all below it are more processes and threads than ``most``. It counts no further than that: a
    fork bomb takes the processor, and grows meanwhile.
    """
    found = {pid}
    threads = 0
    for more in _walk(found):
        threads += more
        if len(found) + threads > most:
            return True
    return False


def _walk(found: set[int]) -> Iterator[int]:
    """Add all that is below the one process in ``found``; gives, process by process, its threads beside the first."""
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        tasks: list[str] = []
        with contextlib.suppress(OSError):
            tasks = os.listdir(f"/proc/{parent}/task")  # noqa: PTH208 - in each start; a Path costs more than the rest
            for task in tasks:
                with open(f"/proc/{parent}/task/{task}/children", "rb") as file:  # noqa: PTH123 - as above
                    children = {int(child) for child in file.read().split()} - found
                found |= children
                waiting += children
        yield max(len(tasks) - 1, 0)


def kill_all_but(first: int, keep: set[int]) -> bool:
    """Kill every process of a namespace that is not in ``keep``; False where new ones kept coming or some stayed.

    Args:
        first: its first process, which sees the namespace's own ``/proc``.
        keep: as the host numbers them.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + _DYING_SECONDS
    rounds = 0
    while rounds < _ROUNDS and time.monotonic() < deadline:
        doomed = {pid for pid in descendants(first) - keep if not _is_zombie(Path(f"/proc/{pid}"))}
        if not doomed and not _has_others(first, keep):
            return True
        fresh = doomed - killed
        for pid in fresh:
            kill(pid)
        killed |= fresh
        if fresh:
            rounds += 1
        else:
            time.sleep(0.001)  # they die when a processor is free for it
    return False


def _has_others(first: int, keep: set[int]) -> bool:
    """Whether there is a process that is not in ``keep``, surely: a walk from parent to child may miss one whose parent
    dies meanwhile, or whose brothers do (proc_pid_task(5), on ``children``). A listing of ``/proc`` goes by number and
    new numbers are higher, so whoever leaves a child behind is seen, or the child is. What is dead was dead before.
    """
    proc = Path(f"/proc/{first}/root/proc")
    try:
        dead = {number for number in _numbers(proc) if _is_zombie(proc / str(number))}
        return bool(_numbers(proc) - dead - {_inner(pid) for pid in keep})
    except OSError:
        return True  # the first process died: nothing is known of the others


def _numbers(proc: Path) -> set[int]:
    return {int(entry.name) for entry in os.scandir(proc) if entry.name.isdigit()}


def _inner(pid: int) -> int | None:
    """A process's number in the innermost namespace that it is in."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def find_by_inner_pid(root: int, inner: int) -> int | None:
    """The host's pid of the process that has the pid ``inner`` inside the sandbox."""
    return next((pid for pid in descendants(root) if pid != root and _inner(pid) == inner), None)


def _is_zombie(entry: Path) -> bool:
    """Whether the process of an entry of ``/proc`` is dead."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True
