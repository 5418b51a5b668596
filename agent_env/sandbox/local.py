"""What all sandboxes on this machine share: a folder of the host under an overlay, and a persistent shell in a process
tree that the host can see. A backend says only how that tree comes to life.
"""

import atexit
import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, CommandResult, SandboxSpec, StopCause
from agent_env.sandbox.inroot import read_in_root, write_in_root
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.overlay import changed_files, text_diff
from agent_env.sandbox.processes import FirstProcess, descendants, find_by_inner_pid, kill, kill_all_but
from agent_env.sandbox.residence import new_residence, remove_residence, remove_tree, residence_base
from agent_env.sandbox.shell import TELL_SHELL, Frame, Shell, is_whole
from agent_env.sandbox.snapshot import FrozenFiles, copy_files, since_base
from agent_env.sandbox.transport import ShellGoneError
from agent_env.sandbox.watch import Quota, Watch, is_full, memory_of

START_SECONDS = 20.0
"""How long a sandbox may take to its first sign of life; far more than it takes on a busy machine."""

GRACE_SECONDS = 1.0
"""How long a shell has to come back after its commands were killed."""

KILL_SECONDS = 10.0
"""How long killed processes may take to die; beyond it the kernel holds them, and the sandbox is given up."""

WRITABLE = ("upper", "work", "tmp", "home")
"""Folders of a residence that a sandbox writes to."""

RESTARTED = b"\n[the shell was restarted: its directory, variables and jobs are gone]\n"
"""Stands in the output where the shell did not outlive a command."""

_live: "set[LocalSandbox]" = set()
"""Those that are not closed; one that its owner forgot is closed at the end of the process."""


class LocalSandbox(ABC):
    """See ``Sandbox``. Its writable layer, /tmp and home lie in a folder of the host, its residence, that ``close``
    removes.

    A subclass calls ``_begin`` at the end of its constructor.
    """

    def __init__(self, spec: SandboxSpec) -> None:
        self._folder = new_residence(residence_base())
        self._closed = False
        if spec.start:
            try:
                spec.start.hold()
            except BaseException:
                remove_residence(self._folder)
                raise
        self._base = spec.layers
        """What ``changes`` are told against."""
        self._start_from = spec.start
        self._spec = replace(spec, layers=(*spec.layers, *(spec.start.layers if spec.start else ())))
        self._owner = os.getpid()
        self._first: FirstProcess | None = None
        self._shell: Shell | None = None
        self._inner = 0
        """The shell's process id as the sandbox sees it."""
        self._quota = Quota(spec.limits)
        self._keep: set[int] = set()
        """The processes that are the sandbox's own; all others were started by commands."""
        _live.add(self)

    @abstractmethod
    def _launch(self) -> tuple[Shell, FirstProcess]:
        """Start the driver in a new process tree, on the residence as it is.

        Raises:
            SandboxError: it did not start.
        """

    @abstractmethod
    def _release(self) -> None:
        """Let go of what ``_launch`` took; the processes are dead."""

    @abstractmethod
    def _kills_for_memory(self) -> int:
        """How many processes have been killed because the memory limit was reached."""

    @abstractmethod
    def _failure(self, said: str) -> SandboxError:
        """The error for a start that failed, after what the sandbox said."""

    def _discard(self) -> None:  # noqa: B027 - not every backend keeps something beside the residence
        """Remove what the backend keeps between a stop and the next start."""

    @property
    def _files(self) -> Path:
        """Where the host finds the folders of ``WRITABLE``."""
        return self._folder

    def _make_files(self) -> None:
        """Make them, where they are not there yet."""
        for name in WRITABLE:
            (self._files / name).mkdir(exist_ok=True)

    def _restart(self) -> None:
        """A new process tree on new files; neither of the former one is left."""
        self.stop()
        for name in WRITABLE:
            remove_tree(self._files / name)
        self._start_anew()

    def _limits_memory(self) -> bool:
        """Whether the kernel holds the limit on the memory of all processes together."""
        return True

    def _is_over_memory(self) -> bool:
        assert self._first is not None
        return memory_of(descendants(self._first.pid)) > self._spec.limits.memory_bytes

    def _has_quota(self) -> bool:
        """Whether the kernel holds the limits on files; else they are looked at while a command runs."""
        return False

    def _user(self) -> int | None:
        """As whom the host reads and writes the sandbox's files; None for itself."""
        return None

    def run(
        self, command: str, *, timeout: float, cwd: str | None = None, silence: float | None = None
    ) -> CommandResult:
        """See ``Sandbox.run``."""
        self._require_running()
        begun = time.monotonic()
        output = BoundedOutput(self._spec.limits.output_bytes)
        kills = self._kills_for_memory()
        watch = Watch(
            deadline=begun + timeout,
            silence=silence,
            quota=None if self._has_quota() else self._quota,
            files=self._files,
            over_memory=None if self._limits_memory() else self._is_over_memory,
        )
        exit_code, stopped = self._attempt(command, cwd, output, watch)
        if exit_code != 0 and self._kills_for_memory() > kills:
            stopped = StopCause.OUT_OF_MEMORY
        elif exit_code != 0 and stopped is None and self._has_quota() and is_full(self._files):
            stopped = StopCause.DISK_FULL
        if self._is_gone():
            self._revive(output)
        return CommandResult(output.text(), exit_code, stopped, time.monotonic() - begun)

    def read(self, path: str) -> bytes:
        """See ``Sandbox.read``."""
        with self._root() as root:
            # An absolute path wins, and nothing is resolved here.
            return read_in_root(root, os.path.join(WORK_DIR, path), user=self._user())  # noqa: PTH118

    def write(self, path: str, data: bytes) -> None:
        """See ``Sandbox.write``."""
        with self._root() as root:
            write_in_root(root, os.path.join(WORK_DIR, path), data, user=self._user())  # noqa: PTH118

    def changes(self) -> dict[str, bytes | None]:
        """See ``Sandbox.changes``."""
        found = changed_files(self._files / "upper", self._spec.layers)
        return since_base(self._base, self._start_from.changes() if self._start_from else {}, found)

    def diff(self) -> str:
        """See ``Sandbox.diff``."""
        return text_diff(self.changes(), self._base)

    def snapshot(self) -> FrozenFiles:
        """See ``Sandbox.snapshot``."""
        self._require_open()
        told = self.run(TELL_SHELL, timeout=GRACE_SECONDS * 5).output if self._first is not None else ""
        shell = told if is_whole(told, self._spec.limits.output_bytes) else ""  # else as new shells start
        with self._at_rest():
            return FrozenFiles(replace(self._spec, layers=self._base), self._files, shell)

    def reset(self) -> None:
        """See ``Sandbox.reset``."""
        self._require_open()
        self._restart()

    def kill(self) -> None:
        """See ``Sandbox.kill``."""
        first = self._first
        if first is not None:
            first.kill()

    def stop(self) -> None:
        """See ``Sandbox.stop``."""
        first, shell = self._first, self._shell
        self._first = self._shell = None
        end_tree(first, shell)
        self._release()

    def close(self) -> None:
        """See ``Sandbox.close``."""
        if self._owner != os.getpid() or self._closed:
            return  # a forked copy, whose sandbox belongs to the parent; or closed already
        self._closed = True
        try:
            self.stop()
            self._discard()
        finally:
            remove_residence(self._folder)
            _live.discard(self)
            if self._start_from:
                self._start_from.let_go()

    def _begin(self) -> None:
        try:
            self._start_anew()
        except BaseException:
            self.close()
            raise

    def _start_anew(self) -> None:
        """Start on new files, as they are to be at the start."""
        self._start()
        if self._start_from:
            for name in ("tmp", "home"):
                copy_files(self._start_from.folder / name, self._files / name)
            if self._start_from.shell:
                self.run(self._start_from.shell, timeout=GRACE_SECONDS * 5)

    @contextlib.contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Commands that still run in the background stand still meanwhile."""
        stopped = descendants(self._first.pid) - self._keep if self._first is not None else set()
        try:
            for pid in stopped:
                kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in stopped:
                kill(pid, signal.SIGCONT)

    def _start(self) -> None:
        self._make_files()
        self._shell, self._first = self._launch()
        said = BoundedOutput(2000)
        try:
            frame = self._shell.wait(said, time.monotonic() + START_SECONDS)
        except ShellGoneError:
            raise self._failure(said.text().strip()) from None
        if frame is None or frame.kind != "r":
            raise SandboxError(f"the sandbox gave no sign of life within {START_SECONDS:.0f} s")
        self._inner = frame.value
        self._keep = descendants(self._first.pid)

    def _attempt(
        self, command: str, cwd: str | None, output: BoundedOutput, watch: Watch
    ) -> tuple[int | None, StopCause | None]:
        """Run a command and see how it ended: exit status and cause, as in ``CommandResult``."""
        assert self._shell is not None
        try:
            self._catch_up(output)
            self._shell.send(command, cwd, watch.deadline)
            while (frame := self._shell.wait(output, watch.next_look(output))) is None:
                cause = watch.look(output)
                if cause:
                    self._interrupt(output)
                    return None, cause
            if frame.kind == "d":
                return frame.value, None
            self._await_shell(frame, output)
            return frame.value, StopCause.SHELL_DIED
        except ShellGoneError:
            self._end()
            return None, StopCause.SHELL_DIED
        except TimeoutError:
            self._end()
            return None, StopCause.TIMEOUT

    def _catch_up(self, output: BoundedOutput) -> None:
        """Learn of a shell that ended since the last command."""
        assert self._shell is not None
        frame = self._shell.poll(output)
        if frame is not None:
            self._await_shell(frame, output)

    def _interrupt(self, output: BoundedOutput) -> None:
        """End the running command and all that was started: the shell stays if it comes back, else it is replaced."""
        assert self._shell is not None
        assert self._first is not None
        if kill_all_but(self._first.pid, self._keep):
            frame = self._shell.wait(output, time.monotonic() + GRACE_SECONDS)
            if frame is not None:
                if frame.kind != "d":
                    self._await_shell(frame, output)
                return
            shell = find_by_inner_pid(self._first.pid, self._inner)
            if shell is not None:
                kill(shell)
                kill_all_but(self._first.pid, self._keep)
                self._await_shell(None, output)
                return
        self._end()

    def _await_shell(self, frame: Frame | None, output: BoundedOutput) -> None:
        """After a shell ended, or was killed: learn the new one."""
        assert self._shell is not None
        assert self._first is not None
        deadline = time.monotonic() + GRACE_SECONDS * 5
        while frame is None or frame.kind != "r":
            frame = self._shell.wait(output, deadline)
            if frame is None:
                return self._end()
        shell = find_by_inner_pid(self._first.pid, frame.value)
        if shell is None:
            return self._end()
        self._inner = frame.value
        self._keep = {pid for pid in self._keep if Path(f"/proc/{pid}").exists()} | {shell}
        output.add(RESTARTED)
        return None

    def _end(self) -> None:
        """Give this process tree up; ``run`` starts a new one."""
        assert self._first is not None
        self._first.kill()
        self._first.wait(KILL_SECONDS)

    def _revive(self, output: BoundedOutput) -> None:
        """A new process tree on the same files, after the old one died."""
        assert self._shell is not None
        self._shell.drain(output)
        output.add(RESTARTED)
        self.stop()
        remove_tree(self._files / "work")
        for name in WRITABLE:
            # A command may have closed these, then killed the shell; that the next start fails must not be its doing.
            with contextlib.suppress(FileNotFoundError, PermissionError):  # absent, or another user's
                (self._files / name).chmod(0o755)
        self._start()

    def _is_gone(self) -> bool:
        return self._first is not None and self._first.is_gone()

    def _require_open(self) -> None:
        if self._closed:
            raise SandboxError("the sandbox is closed: make a new one")

    def _require_running(self) -> None:
        self._require_open()
        if self._first is None:
            raise SandboxError("the sandbox is stopped: reset it, or make a new one")

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        """The root folder that the sandbox's processes see."""
        self._require_running()
        descriptor = self._open_root()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self) -> int:
        """Open that folder, in a new process tree where commands (``kill -9 -1``) have killed the old one."""
        why = "its first process is dead"
        for _ in range(2):
            if self._is_gone():
                self._revive(BoundedOutput(len(RESTARTED)))
            assert self._first is not None
            try:
                descriptor = os.open(f"/proc/{self._first.pid}/root", os.O_PATH | os.O_DIRECTORY)
            except OSError as error:  # it is dying: it loses its root before it is seen to be dead
                why = str(error)
                self._end()
                continue
            if not self._first.is_gone():
                return descriptor
            os.close(descriptor)  # the number may belong to another process by now
        raise SandboxError(f"the sandbox is gone: {why}")


def end_tree(first: FirstProcess | None, shell: Shell | None) -> None:
    """Kill a process tree, wait for its death and close what the host held of it."""
    if first is not None:
        first.kill()
        first.wait(KILL_SECONDS)
        first.close()
    if shell is not None:
        shell.close()


@atexit.register
def _close_all() -> None:
    for sandbox in list(_live):
        sandbox.close()


def kill_running() -> None:
    """Kill the processes of every sandbox of this process, from any thread: commands that are running return at once.

    For a work that is being given up; who owns a sandbox still closes it.
    """
    for sandbox in list(_live):
        if sandbox._owner == os.getpid():  # a forked child knows its parent's, which are not its own to end
            sandbox.kill()
