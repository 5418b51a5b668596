"""The processes of one sandbox, as the host sees them: all are descendants of the sandbox's first process."""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator


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
