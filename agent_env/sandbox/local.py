"""What all sandboxes on this machine share: a folder of the host under an overlay, and a persistent shell in a process
tree that the host can see. A backend says only how that tree comes to life.
"""

import atexit
import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, CommandResult, SandboxSpec, StopCause
from agent_env.sandbox.file_copy import copy_files
from agent_env.sandbox.inroot import read_in_root, write_in_root
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.overlay import changed_files, covered_files, text_diff
from agent_env.sandbox.place import Place
from agent_env.sandbox.residence import new_residence, remove_residence, remove_tree, residence_base
from agent_env.sandbox.shell import TELL_SHELL, is_whole
from agent_env.sandbox.shell_tree import GRACE_SECONDS, REVIVED, ShellTree
from agent_env.sandbox.snapshot import FrozenFiles, since_base
from agent_env.sandbox.transport import ShellGoneError
from agent_env.sandbox.watch import Quota, Watch, is_full

Result = TypeVar("Result")

START_SECONDS = 20.0
"""How long a sandbox may take to its first sign of life; far more than it takes on a busy machine."""

WRITABLE = ("upper", "work", "tmp", "home")
"""Folders of a residence that a sandbox writes to."""

_live: "set[LocalSandbox]" = set()
"""Those that are not closed; one that its owner forgot is closed at the end of the process."""


class LocalSandbox(ABC):
    """See ``Sandbox``. Its writable layer, /tmp and home lie in a folder of the host, its residence, that ``close``
    removes.

    A subclass calls ``_begin`` at the end of its constructor.

    Args:
        quota: options of the memory filesystem for its files, whose limits the kernel holds; they lie in a plain folder
            where empty.
    """

    def __init__(self, spec: SandboxSpec, quota: str) -> None:
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
        self._tree: ShellTree | None = None
        """What runs; None where it is stopped."""
        self._killed = False
        """By ``kill``, and not started again since."""
        self._quota = Quota(spec.limits)
        self._quota_options = quota
        self._refused = 0
        """Processes that had been refused when that was last asked."""
        self._places = 0
        self._place = self._new_place()
        _live.add(self)

    @abstractmethod
    def _launch(self) -> ShellTree:
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
    def _refused_processes(self) -> int:
        """How many processes and threads could not start at the limit."""

    @abstractmethod
    def _failure(self, said: str) -> SandboxError:
        """The error for a start that failed, after what the sandbox said."""

    def _discard(self) -> None:  # noqa: B027 - not every backend keeps something beside the residence
        """Remove what the backend keeps between a stop and the next start."""

    @property
    def _files(self) -> Path:
        """Where the host finds the folders of ``WRITABLE``."""
        return self._place.files

    def _new_place(self) -> Place:
        """A place for files that nobody has used."""
        self._places += 1
        return Place(self._folder / str(self._places), self._quota_options)

    @abstractmethod
    def _make_files(self) -> None:
        """Make what of those is not there yet, unless ``_launch`` does."""

    def _restart(self) -> None:
        """A new process tree on new files; neither of the former one is left."""
        self.stop()
        self._place.remove()
        self._place = self._new_place()
        self._start_anew()

    def _limits_all(self) -> bool:
        """Whether the kernel holds the limits on all processes together, by memory and by number."""
        return True

    def _has_quota(self) -> bool:
        """Whether the kernel holds the limits on files; else they are looked at while a command runs."""
        return self._place.namespace is not None

    def _user(self) -> int | None:
        """As whom the host reads and writes the sandbox's files; None for itself."""
        return None

    def run(
        self, command: str, *, timeout: float, cwd: str | None = None, silence: float | None = None
    ) -> CommandResult:
        """See ``Sandbox.run``."""
        tree = self._require_running()
        output = BoundedOutput(self._spec.limits.output_bytes)
        if tree.is_gone() and not self._killed:
            tree = self._living(output)  # what the last command killed died only after it
        if self._killed:
            tree.kill()  # whoever killed it meant this command too
        begun = time.monotonic()
        kills = self._kills_for_memory()
        watch = Watch(
            deadline=begun + timeout,
            silence=silence,
            quota=None if self._has_quota() else self._quota,
            files=self._files,
            beyond=None if self._limits_all() else lambda: tree.beyond(self._spec.limits),
        )
        exit_code, stopped = tree.attempt(command, cwd, output, watch)
        if exit_code != 0 and self._kills_for_memory() > kills:
            stopped = StopCause.OUT_OF_MEMORY
        elif exit_code != 0 and stopped is None and self._has_quota() and is_full(self._files):
            stopped = StopCause.DISK_FULL
        elif exit_code != 0 and stopped in (None, StopCause.SHELL_DIED) and self._was_refused_processes():
            stopped = StopCause.PROCESS_LIMIT
        self._living(output)
        return CommandResult(output.text(), exit_code, stopped, time.monotonic() - begun, output.cut)

    def _was_refused_processes(self) -> bool:
        """Whether more processes were refused than when this was asked last: by a command that failed, since only then
        it is asked, or by what runs in the background.
        """
        before, self._refused = self._refused, self._refused_processes()
        return self._refused > before

    def read(self, path: str) -> bytes:
        """See ``Sandbox.read``."""
        # An absolute path wins, and nothing is resolved here.
        place = os.path.join(WORK_DIR, path)  # noqa: PTH118
        return self._in_root(lambda root: read_in_root(root, place, user=self._user()))

    def write(self, path: str, data: bytes) -> None:
        """See ``Sandbox.write``."""
        place = os.path.join(WORK_DIR, path)  # noqa: PTH118
        self._in_root(lambda root: write_in_root(root, place, data, user=self._user()))

    def changes(self) -> dict[str, bytes | None]:
        """See ``Sandbox.changes``."""
        found = changed_files(self._files / "upper", self._spec.layers)
        return since_base(self._base, self._start_from.changes() if self._start_from else {}, found)

    def written(self, paths: Collection[str]) -> list[str]:
        """See ``Sandbox.written``."""
        return covered_files(self._files / "upper", paths)

    def diff(self) -> str:
        """See ``Sandbox.diff``."""
        return text_diff(self.changes(), self._base)

    def snapshot(self) -> FrozenFiles:
        """See ``Sandbox.snapshot``."""
        self._require_open()
        told = self.run(TELL_SHELL, timeout=GRACE_SECONDS * 5).output if self._tree else ""
        shell = told if is_whole(told, self._spec.limits.output_bytes) else ""  # else as new shells start
        with self._tree.at_rest() if self._tree else contextlib.nullcontext():
            return FrozenFiles(replace(self._spec, layers=self._base), self._files, shell)

    def reset(self) -> None:
        """See ``Sandbox.reset``."""
        self._require_open()
        self._restart()

    def kill(self) -> None:
        """See ``Sandbox.kill``."""
        self._killed = True
        tree = self._tree
        if tree:
            tree.kill()

    def stop(self) -> None:
        """See ``Sandbox.stop``."""
        tree, self._tree = self._tree, None
        if tree:
            tree.close()
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
            self._place.remove()
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
        self._killed = False
        self._start()
        if self._start_from:
            for name in ("tmp", "home"):
                copy_files(self._start_from.folder / name, self._files / name)
            if self._start_from.shell:
                self.run(self._start_from.shell, timeout=GRACE_SECONDS * 5)

    def _start(self) -> None:
        self._make_files()
        tree = self._tree = self._launch()
        said = BoundedOutput(2000)
        try:
            is_ready = tree.is_ready(said, time.monotonic() + START_SECONDS)
        except ShellGoneError:
            raise self._failure(said.text().strip()) from None
        if not is_ready:
            raise SandboxError(f"the sandbox gave no sign of life within {START_SECONDS:.0f} s")
        self._place.keep_reserve()
        self._refused = self._refused_processes()

    def _living(self, output: BoundedOutput) -> ShellTree:
        """The process tree; a new one where commands (``kill -9 -1``) have killed the old one."""
        if self._tree and self._tree.is_gone():
            self._tree.shell.drain(output)
            output.add(REVIVED)
            self._revive()
        assert self._tree is not None
        return self._tree

    def _revive(self) -> None:
        """A new process tree on the same files, after the old one died."""
        self._killed = False
        self._place.free_reserve()
        self.stop()
        remove_tree(self._files / "work")
        for name in WRITABLE:
            # A command may have closed these, then killed the shell; that the next start fails must not be its doing.
            with contextlib.suppress(FileNotFoundError, PermissionError):  # absent, or another user's
                (self._files / name).chmod(0o755)
        self._start()

    def _require_open(self) -> None:
        if self._closed:
            raise SandboxError("the sandbox is closed: make a new one")

    def _require_running(self) -> ShellTree:
        self._require_open()
        if self._tree is None:
            raise SandboxError("the sandbox is stopped: reset it, or make a new one")
        return self._tree

    def _in_root(self, work: Callable[[int], Result]) -> Result:
        """What ``work`` gives on the root folder that the processes see; once more where they died under it, since
        what is mounted there goes with them.
        """
        with self._root() as root:
            try:
                found = work(root)
                if _has_mounts(root):
                    return found
            except OSError:
                if _has_mounts(root):
                    raise
            self._require_running().end()
        with self._root() as root:
            return work(root)

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
        """Open that folder."""
        why = ""
        for _ in range(2):
            tree = self._living(BoundedOutput(len(REVIVED)))
            try:
                root = tree.open_root()
            except OSError as error:
                why = str(error)
            else:
                if _has_mounts(root):
                    return root
                os.close(root)  # it is dying, and shows what lies below its mounts
                why = "its mounts are gone"
            tree.end()
        raise SandboxError(f"the sandbox is gone: {why}")


def _has_mounts(root: int) -> bool:
    """Whether a sandbox's root folder still has what was mounted in it."""
    try:
        os.stat("proc/version", dir_fd=root)
    except OSError:
        return False
    return True


@atexit.register
def _close_all() -> None:
    for sandbox in list(_live):
        with contextlib.suppress(SandboxError):  # one that fails must not keep the others; a reaper comes
            sandbox.close()


def kill_running() -> None:
    """Kill the processes of every sandbox of this process, from any thread: commands that are running return at once.

    For a work that is being given up; who owns a sandbox still closes it.
    """
    for sandbox in list(_live):
        if sandbox._owner == os.getpid():  # a forked child knows its parent's, which are not its own to end
            sandbox.kill()
