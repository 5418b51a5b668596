"""Failures of the machine, put in from outside; each says whether it struck."""

import errno
import os
import random
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from agent_env.sandbox.base import Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.processes import FirstProcess, descendants

_CALLS = ("run", "read", "write", "changes")

_FILE_EVENTS = frozenset(
    {"open", "subprocess.Popen", "tempfile.mkdtemp", "os.chmod", "os.chown", "os.getxattr", "os.link", "os.listdir"}
    | {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "os.setxattr", "os.symlink", "os.utime"}
)
"""Audit events (Python's own list of them) that stand for a call of the file system, or for the start of a program."""


def disk_error() -> OSError:
    """What a disk gives that cannot be read or written."""
    return OSError(errno.EIO, os.strerror(errno.EIO))


class BrokenSandbox:
    """A sandbox of which one call meets an error of the host's disk.

    Args:
        sandbox: the real one.
        calls: so many go well before.
        lasting: whether all calls after it fail as well.
    """

    def __init__(self, sandbox: Sandbox, calls: int, *, lasting: bool) -> None:
        self._sandbox, self._left, self._lasting = sandbox, calls, lasting
        self.struck = False

    def __getattr__(self, name: str) -> object:
        if name in _CALLS:
            self._left -= 1
            if self._left == -1 or (self._left < 0 and self._lasting):
                self.struck = True
                raise disk_error()
        return getattr(self._sandbox, name)


class Kill:
    """Kills a sandbox's processes from the host some time later, as a killer for memory or an operator would.

    Args:
        seconds: when.
        whole: all of them, by the first; else any one.
    """

    def __init__(self, sandbox: Sandbox, seconds: float, *, whole: bool) -> None:
        # No front door leads to these on purpose.
        self._first = FirstProcess(sandbox._tree.first.pid)  # type: ignore[attr-defined]
        self._whole = whole
        self.struck = False
        self._timer = threading.Timer(seconds, self._strike)
        self._timer.start()

    def end(self) -> None:
        """Strike no more."""
        self._timer.cancel()
        self._timer.join()
        self._first.close()

    def _strike(self) -> None:
        if self._first.is_gone():
            return
        if self._whole:
            self._first.kill()
            self.struck = True
            return
        pid = random.choice([*descendants(self._first.pid) - {self._first.pid}] or [self._first.pid])
        try:
            victim = FirstProcess(pid)
        except ProcessLookupError:
            return
        if pid in descendants(self._first.pid):  # held by now, so that its number is nobody else's
            victim.kill()
            self.struck = True
        victim.close()


class StruckBackend:
    """A backend whose sandboxes are struck.

    Args:
        backend: the real one.
        strike: gets the number of each sandbox, from 0 on, with None just before it is made, and then with itself.
    """

    def __init__(self, backend: SandboxBackend, strike: Callable[[int, Sandbox | None], None]) -> None:
        self.name, self.problems, self.reap = backend.name, backend.problems, backend.reap
        self.made = 0
        """How many were asked for."""
        self._backend, self._strike = backend, strike

    def create(self, spec: SandboxSpec) -> Sandbox:
        """See ``SandboxBackend.create``."""
        number, self.made = self.made, self.made + 1
        self._strike(number, None)
        sandbox = self._backend.create(spec)
        self._strike(number, sandbox)
        return sandbox


class HostErrors:
    """While it is entered, one call that this thread makes of the host's file system meets an error of the disk.

    Args:
        calls: so many go well before.
    """

    def __init__(self, calls: int) -> None:
        self._left = calls
        self.struck = False

    def __enter__(self) -> "HostErrors":
        _entered.errors = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _entered.errors = None

    def meet(self) -> None:
        """One call."""
        self._left -= 1
        if self._left == -1:
            self.struck = True
            raise disk_error()


class _Entered(threading.local):
    errors: HostErrors | None = None


_entered = _Entered()


def listen() -> None:
    """Let ``HostErrors`` work in this process, from now on (an audit hook cannot be taken away)."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    errors = _entered.errors
    if errors is not None and event in _FILE_EVENTS and _is_on_disk(event, arguments):
        errors.meet()


def _is_on_disk(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether more is meant than a descriptor that is open already, or the kernel's files of processes."""
    path = arguments[0] if arguments else ""
    if event == "open" and isinstance(path, int):
        return False
    shown = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    return not shown.startswith("/proc/") or "/fd/" in shown
