"""Real backends on a machine that fails by plan: sandboxes whose calls meet an input/output error, or whose processes
the host kills."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from agent_env.sandbox.base import Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.processes import FirstProcess, descendants


class PlannedBackend:
    """A real backend.

    Args:
        harm: gets each sandbox with its number, from 0 on, and whether it is only about to be made (None then).
    """

    def __init__(self, backend: SandboxBackend, harm: Callable[[int, Sandbox | None], None]) -> None:
        self.name = backend.name
        self.problems, self.reap = backend.problems, backend.reap
        self.made = 0
        self._backend, self._harm = backend, harm

    def create(self, spec: SandboxSpec) -> Sandbox:
        """See ``SandboxBackend.create``."""
        number, self.made = self.made, self.made + 1
        self._harm(number, None)
        sandbox = self._backend.create(spec)
        self._harm(number, sandbox)
        return sandbox


def disk_failure(*_: object, **__: object) -> None:
    """What a broken disk gives."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def fails_at(number: int, call: str) -> Callable[[int, Sandbox | None], None]:
    """The given call of the given sandbox meets an input/output error: ``create``, ``write`` or ``run``."""

    def harm(found: int, sandbox: Sandbox | None) -> None:
        if found == number and sandbox is None and call == "create":
            disk_failure()
        if found == number and sandbox is not None and call != "create":
            setattr(sandbox, call, disk_failure)

    return harm


class Killer:
    """Kills, from the host and once for each of the first sandboxes, the process whose command line has ``word``."""

    def __init__(self, word: bytes, times: int) -> None:
        self.killed = 0
        self._word, self._times = word, times
        self._threads: list[threading.Thread] = []

    def __call__(self, number: int, sandbox: Sandbox | None) -> None:
        if sandbox is not None and number < self._times:
            first = FirstProcess(sandbox._tree.first.pid)  # type: ignore[attr-defined]
            self._threads.append(threading.Thread(target=self._hunt, args=(first,)))
            self._threads[-1].start()

    def join(self) -> None:
        """Wait until each has found its victim, or its sandbox is gone."""
        for thread in self._threads:
            thread.join()

    def _hunt(self, first: FirstProcess) -> None:
        while not first.is_gone():
            for pid in descendants(first.pid):
                if self._word in _command_line(pid):
                    victim = first if self._word == b"" else FirstProcess(pid)
                    victim.kill()
                    self.killed += 1
                    victim.wait(10)
                    return


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
