"""A persistent shell in a process tree: runs commands, ends what they started, and says how each ended.

It knows nothing of files; who owns it starts another one on the same files when it is gone.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Limits, StopCause
from agent_env.sandbox.namespace import FIRST, kill_all_but, members, parent_of, send, standing_still
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.processes import FirstProcess, descendants, outnumber
from agent_env.sandbox.shell import Frame, Shell
from agent_env.sandbox.transport import ShellGoneError
from agent_env.sandbox.watch import Watch, memory_of

GRACE_SECONDS = 1.0
"""How long a shell has to come back after its commands were killed."""

KILL_SECONDS = 10.0
"""How long killed processes may take to die; beyond it the kernel holds them, and the sandbox is given up."""

RESTARTED = b"\n[the shell was restarted: its directory, variables and jobs are gone]\n"
"""Stands in the output where the shell did not outlive a command."""

REVIVED = b"\n[all processes were killed; the shell was restarted: its directory, variables and jobs are gone]\n"
"""Stands there instead where nothing outlived it (``kill -9 -1``)."""


class ShellTree:
    """See the module. Not safe for two threads at once, but for ``kill``.

    Args:
        shell: the host's end of the shell; closed by ``close``.
        first: the first process of the tree; closed by ``close``.
        is_seen: whether the host sees the other processes; else a command is only ended with the whole tree.
    """

    def __init__(self, shell: Shell, first: FirstProcess, *, is_seen: bool) -> None:
        self.shell = shell
        self.first = first
        self._is_seen = is_seen
        self._shell = 0
        """The shell's process id as the sandbox sees it."""
        self._own: set[int] = set()
        """Likewise, the processes that are the sandbox's own beside it; all others were started by commands."""

    def is_ready(self, said: BoundedOutput, deadline: float) -> bool:
        """Wait for the shell's first sign of life.

        Raises:
            ShellGoneError: it died.
            SandboxError: its processes cannot be listed.
        """
        frame = self.shell.wait(said, deadline)
        if frame is None or frame.kind != "r":
            return False
        self._shell = frame.value
        if self._is_seen:
            try:
                with self._listing() as proc:
                    self._own = members(proc) - {self._shell}
            except (FileNotFoundError, ProcessLookupError) as error:
                raise ShellGoneError from error
            except OSError as error:
                raise SandboxError(f"the processes of a sandbox cannot be listed: {error}") from error
        return True

    def attempt(
        self, command: str, cwd: str | None, output: BoundedOutput, watch: Watch
    ) -> tuple[int | None, StopCause | None]:
        """Run a command and see how it ended: exit status and cause, as in ``CommandResult``."""
        try:
            self._catch_up(output)
            self.shell.send(command, cwd, watch.deadline)
            while (frame := self.shell.wait(output, watch.next_look(output))) is None:
                cause = watch.look(output)
                if cause:
                    try:
                        self._interrupt(output)
                    except ShellGoneError:  # a trap of the shell's own may end all when its command is killed
                        self.end()
                    return None, cause
            if frame.kind == "d":
                return frame.value, None
            self._await_shell(frame, output)
            return frame.value, StopCause.SHELL_DIED
        except ShellGoneError:
            self.end()
            return None, StopCause.SHELL_DIED
        except TimeoutError:
            self.end()
            return None, StopCause.TIMEOUT

    def is_gone(self) -> bool:
        """Whether it is dead."""
        return self.first.is_gone()

    def beyond(self, limits: Limits) -> StopCause | None:
        """Which limit its processes are beyond together, by number or by memory without files."""
        if outnumber(self.first.pid, limits.processes):
            return StopCause.PROCESS_LIMIT
        if memory_of(descendants(self.first.pid)) > limits.memory_bytes:
            return StopCause.OUT_OF_MEMORY
        return None

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """All processes stand still meanwhile, where they are seen.

        Raises:
            SandboxError: they did not come to rest, or cannot be listed.
        """
        with contextlib.ExitStack() as held:
            if self._is_seen:
                try:
                    held.enter_context(standing_still(held.enter_context(self._listing())))
                except (FileNotFoundError, ProcessLookupError):  # it is dying
                    self.end()
                except OSError as error:
                    raise SandboxError(f"the processes of a sandbox cannot be listed: {error}") from error
            yield

    def open_root(self) -> int:
        """A descriptor of the root folder that its processes see.

        Raises:
            OSError: it is dead, or dying: it loses its root before it is seen to be dead.
        """
        descriptor = os.open(f"/proc/{self.first.pid}/root", os.O_PATH | os.O_DIRECTORY)
        if self.first.is_gone():
            os.close(descriptor)  # the number may belong to another process by now
            raise ProcessLookupError("its first process is dead")
        return descriptor

    @contextlib.contextmanager
    def _listing(self) -> Iterator[int]:
        """A descriptor of the sandbox's own ``/proc``, for ``namespace``; errors as for ``open_root``."""
        root = self.open_root()
        try:
            proc = os.open("proc", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        finally:
            os.close(root)
        try:
            yield proc
        finally:
            os.close(proc)

    def kill(self) -> None:
        """Kill every process, from any thread."""
        self.first.kill()

    def end(self) -> None:
        """Kill every process, and wait for their death."""
        self.first.kill()
        self.first.wait(KILL_SECONDS)

    def close(self) -> None:
        """End it, and let go of what the host held of it."""
        self.end()
        self.first.close()
        self.shell.close()

    def _catch_up(self, output: BoundedOutput) -> None:
        """Learn of shells that ended since the last command.

        Raises:
            ShellGoneError: there was no end of it.
        """
        deadline = time.monotonic() + GRACE_SECONDS * 5
        while frame := self.shell.poll(output):
            if time.monotonic() > deadline:  # somebody inside writes them, and faster than they are read
                raise ShellGoneError
            if frame.kind != "d":
                self._await_shell(frame, output)

    def _interrupt(self, output: BoundedOutput) -> None:
        """End the running command and all that was started: the shell stays if it comes back, else it is replaced."""
        if not self._kill_commands():
            return self.end()
        frame = self.shell.wait(output, time.monotonic() + GRACE_SECONDS)
        if frame is None:
            with contextlib.suppress(OSError), self._listing() as proc:
                send(proc, self._shell, signal.SIGKILL)
        if frame is None or frame.kind != "d":
            self._await_shell(frame, output)
        return None

    def _kill_commands(self) -> bool:
        """Kill all that commands started; False where that did not do."""
        if self._is_seen:
            with contextlib.suppress(OSError), self._listing() as proc:
                return kill_all_but(proc, self._own | {self._shell})
        return False

    def _await_shell(self, frame: Frame | None, output: BoundedOutput) -> None:
        """After a shell ended, or was killed: learn the new one."""
        deadline = time.monotonic() + GRACE_SECONDS * 5
        while frame is None or frame.kind != "r" or not self._is_shell(frame.value):
            frame = self.shell.wait(output, deadline)
            if frame is None:
                return self.end()
        self._shell = frame.value
        output.add(RESTARTED)
        return None

    def _is_shell(self, number: int) -> bool:
        """Whether a process lives and was started by the driver: others can write on its stream as well."""
        with contextlib.suppress(OSError), self._listing() as proc:
            return parent_of(proc, number) in self._own - {FIRST}
        return False
