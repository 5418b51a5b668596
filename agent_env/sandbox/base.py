"""The seam of the sandboxes: what one episode's machine is told, what it does, and what a backend offers.

A sandbox sees the repository at ``WORK_DIR``: read-only layers from the host (the tree, then changes on top), with one
writable layer over them that belongs to this sandbox alone and lies in a directory of the host. So the host lays a
state by writing files before the start, and reads what changed after the stop, and asks nothing of the code inside.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

WORK_DIR = "/testbed"
"""Where the repository stands in every sandbox, and where its shell starts."""

VENV_DIR = "/opt/env"
"""Where the built environment (a Python virtual environment) stands in every sandbox."""


class StopCause(Enum):
    """Why a command ended, where it did not end by itself."""

    TIMEOUT = "timeout"
    """It ran past its timeout; its whole process tree was killed."""
    OUT_OF_MEMORY = "out_of_memory"
    """The memory limit of the sandbox was reached: the policy's own doing."""
    DISK_FULL = "disk_full"
    """The limit on files was reached: the command failed with no space left, or was killed; the policy's own doing."""
    PROCESS_LIMIT = "process_limit"
    """It failed after it had been refused a process or thread at the limit, or was killed beyond it: the policy's own
    doing."""
    NO_OUTPUT = "no_output"
    """It printed nothing for as long as ``silence`` allows; its whole process tree was killed."""
    SHELL_DIED = "shell_died"
    """The command ended the shell (``exit``, ``exec``, a kill), or it was cut short, or never began, as all processes
    died (then it has no exit status); a new shell has been started."""


class CommandResult(NamedTuple):
    """What one command did."""

    output: str
    """Standard output and error in the order written; bytes that are not UTF-8 are replaced; the middle is cut out
    beyond ``Limits.output_bytes`` and the cut says how much is missing."""
    exit_code: int | None
    """Exit status; None where the command did not end by itself."""
    stopped: StopCause | None
    """Why it was ended, or None."""
    seconds: float
    """Wall time by the host's clock."""
    cut: int = 0
    """Bytes that were cut out of the output."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a sandbox may use. A limit that is hit is the policy's fault, not the machine's."""

    memory_bytes: int = 2 << 30
    """Memory of all processes together, files in temporary directories included."""
    processes: int = 256
    """Processes and threads alive at once."""
    cpus: float = 4.0
    """Processors' worth of time in each tenth of a second; a number beyond the machine's own is no limit."""
    output_bytes: int = 30_000
    """Longest output that one command returns."""
    file_bytes: int = 1 << 30
    """Largest single file."""
    disk_bytes: int = 1 << 30
    """Content of the changed work tree, /tmp and home together; less than the memory, in which they usually lie."""
    inodes: int = 200_000
    """Files and folders in them."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory or file of the host that a sandbox sees."""

    source: Path
    target: str
    writable: bool = False
    """Only for the build of an environment; never in an agent's or a grader's sandbox."""


class Snapshot(Protocol):
    """A sandbox's files, frozen: changed files of the work tree, /tmp and home, the shell's directory and its exported
    variables. Processes, jobs, functions and shell options are not in it, nor is what lies elsewhere (/dev/shm).
    """

    @property
    def spec(self) -> "SandboxSpec":
        """For ``SandboxBackend.create`` of the same backend: a sandbox that starts from here. Its ``reset`` comes back
        to here, and its ``changes`` are those since the start state of the first sandbox.
        """
        ...

    @property
    def folder(self) -> Path:
        """Where the host keeps it."""
        ...

    @property
    def layers(self) -> tuple[Path, ...]:
        """What lies over ``SandboxSpec.layers``, the bottom first."""
        ...

    @property
    def shell(self) -> str:
        """A script that brings the shell's directory and variables back; may be empty."""
        ...

    def hold(self) -> None:
        """Count one user more; a sandbox that starts from here is one by itself.

        Raises:
            SandboxError: it is removed.
        """
        ...

    def let_go(self) -> None:
        """Count one user less, once for each ``hold``; it is removed with its last."""
        ...

    def close(self) -> None:
        """Let go of it, for who made it; it is removed once all have. Safe to call twice."""
        ...

    def changes(self) -> Mapping[str, bytes | None]:
        """As ``Sandbox.changes`` at that moment."""
        ...


@dataclass(frozen=True, kw_only=True)
class SandboxSpec:
    """All that a backend needs to make one sandbox."""

    layers: tuple[Path, ...]
    """Host directories that merge into ``WORK_DIR``, the bottom first. A deleted file is a whiteout, as overlayfs has
    it: a character device 0:0."""
    mounts: tuple[Mount, ...] = ()
    hidden: tuple[str, ...] = ()
    """Directories inside ``mounts`` that the sandbox sees empty."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the shell, beside PATH, HOME, LANG and TERM."""
    limits: Limits = Limits()
    start: Snapshot | None = None
    """A sandbox's frozen files to start from; see ``Snapshot.spec``."""
    network: bool = False
    """True only while an environment is installed."""


class Sandbox(Protocol):
    """One episode's machine."""

    def run(
        self, command: str, *, timeout: float, cwd: str | None = None, silence: float | None = None
    ) -> CommandResult:
        """Run a command in the persistent shell: directory, variables, functions and jobs live on to the next call.

        Standard input is empty. ``cwd`` is for this command alone. ``timeout`` is in seconds, and so is ``silence``:
        how long the command may print nothing.

        Raises:
            SandboxError: the sandbox itself is gone or never answered.
        """
        ...

    def read(self, path: str) -> bytes:
        """Content of a file, by absolute path or relative to ``WORK_DIR``, as the processes inside would read it.

        Raises:
            FileNotFoundError, IsADirectoryError, PermissionError: as for ``open``.
            SandboxError: the sandbox is gone.
        """
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a file as the processes inside would, making the folders above it; errors as for ``read``."""
        ...

    def changes(self) -> dict[str, bytes | None]:
        """Text and binary files of the work tree that differ from the start state: new content, or None where gone.

        Read by the host from the writable layer; works after ``stop``, and best then. Symlinks, devices and ``.git``
        are left out: they never cross.

        Raises:
            OSError: the machine failed, so that what changed is not known.
        """
        ...

    def written(self, paths: Collection[str]) -> list[str]:
        """Those of some files of the start state's work tree that were written, moved, linked, deleted or given other
        rights since it started, whatever they hold now. Read by the host from the writable layer, after ``stop``.
        """
        ...

    def diff(self) -> str:
        """The text diff of the work tree against the start state, from ``changes``; files that are not text are left
        out."""
        ...

    def snapshot(self) -> Snapshot:
        """Freeze the files as they are now; the sandbox goes on as before.

        Raises:
            SandboxError: they could not be copied, or the sandbox is closed.
        """
        ...

    def reset(self) -> None:
        """Back to the start state: files inside and outside the work tree, processes, shell."""
        ...

    def kill(self) -> None:
        """Kill every process, from any thread: a command that is running returns at once.

        For who wants a turn of somebody else's to end; its owner still stops or closes the sandbox.
        """
        ...

    def stop(self) -> None:
        """Kill every process of the sandbox; its files stay readable through ``changes`` and ``diff``."""
        ...

    def close(self) -> None:
        """Stop, and remove all that the sandbox left on the host. Safe to call twice."""
        ...


class Problem(NamedTuple):
    """Something that keeps a backend from working, or from enforcing a limit, on this machine."""

    what: str
    mend: str
    """What to do about it."""
    fatal: bool
    """Whether no sandbox can be made; otherwise one can, and something weaker than wished holds."""


class SandboxBackend(Protocol):
    """Makes sandboxes. Cheap to construct; safe to use from several threads and processes at once."""

    name: str

    def problems(self) -> list[Problem]:
        """What is amiss on this machine; tries a real sandbox."""
        ...

    def create(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; on return its shell takes commands.

        Raises:
            SandboxError: it did not start.
        """
        ...

    def reap(self) -> int:
        """Remove what dead host processes left behind (sandboxes, directories, groups); returns how many."""
        ...
