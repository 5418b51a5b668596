"""What befalls the sandboxes of a machine that fails by plan; see ``bench.chaos.strikes``."""

import threading
from collections.abc import Callable
from pathlib import Path

from agent_env.sandbox.base import Sandbox
from agent_env.sandbox.processes import FirstProcess, descendants
from bench.chaos.strikes import disk_error


def disk_failure(*_: object, **__: object) -> None:
    """In the place of a call that reads or writes a broken disk."""
    raise disk_error()


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
