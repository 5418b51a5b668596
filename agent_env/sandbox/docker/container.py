"""One container: started, its shell's driver waiting for a word before it looks at the work tree.

A container never serves twice. One that has run commands may have changed what no reset would see: the memory of its
first process, which has the same user, the limits and priorities that are inherited from it, what is in its pipes.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR, Mount
from agent_env.sandbox.cgroup import oom_file_of, pids_file_of, read_memory_kills, read_refusals
from agent_env.sandbox.docker.attach import AttachTransport
from agent_env.sandbox.docker.client import MACHINE_LABEL, OWNER_LABEL, docker_client, machine_id
from agent_env.sandbox.docker.guard import leave_to_guard
from agent_env.sandbox.docker.plan import PLACES, Plan, bind, container_user, empty_places, host_config
from agent_env.sandbox.docker.remove import daemon_errors, remove_container, remove_volume
from agent_env.sandbox.hostroot import USER_ID
from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.shell import Shell, driver_command
from agent_env.sandbox.transport import ShellGoneError
from tasks.owner import owner_name

_MANY = 1 << 30
"""More processes than a group can have seen killed."""

_LONGEST_WAIT = 900
"""Seconds after which a container that nobody takes ends by itself: a daemon that is killed while it starts one forgets
that it runs. Far longer than a pool keeps one."""

_WAIT_FOR_WORD = f"""
while IFS= builtin read -r -d "" -t {_LONGEST_WAIT} __rd_word || exit 1; do
  if [ -z "$__rd_word" ]; then break; fi
  builtin printf "w 0\\0"
done
unset __rd_word
builtin cd {WORK_DIR} || exit 1
"""
"""Stands before the driver: answers each word, and goes on at an empty one."""


class WorkTree(NamedTuple):
    """A sandbox's files, where the daemon has to mount them."""

    folder: Path
    """The residence."""
    layers: Sequence[Path]
    """The lower layers, the bottom first."""


class Container:
    """A container that was started just now.

    Args:
        plan: what it is made from.
        tree: what stands in the work tree, /tmp and home; None leaves them empty, to be mounted over later.

    Raises:
        SandboxError: it did not start; nothing is left of it.
    """

    def __init__(self, plan: Plan, tree: WorkTree | None = None) -> None:
        self.plan = plan
        self._api = docker_client().api
        self._name = f"{owner_name()}-{secrets.token_hex(4)}"
        self._called = f"repodojo-{self._name}"
        self._labels = {OWNER_LABEL: self._name, MACHINE_LABEL: machine_id()}
        self._has_volume = tree is not None
        self._oom_file: Path | None = None
        self._pids_file: Path | None = None
        self._id = ""
        try:
            with daemon_errors("start a container"):
                self._start(tree)
        except BaseException:
            try:
                self.remove()
            except SandboxError:  # the first error is the one to tell
                leave_to_guard()
            raise
        self.born = time.monotonic()

    def proceed(self) -> None:
        """Let the driver go on to the work tree and take commands."""
        with contextlib.suppress(ShellGoneError):  # the caller sees it when it waits for the answer
            self._transport.send(b"\0", time.monotonic() + 1)

    def answers(self, seconds: float) -> bool:
        """Whether the waiting driver still lives and answers."""
        deadline = time.monotonic() + seconds
        try:
            self._transport.send(b"?\0", deadline)
            frame = self.shell.wait(BoundedOutput(100), deadline)
        except (ShellGoneError, TimeoutError):
            return False
        return frame is not None and frame.kind == "w"

    def kills_for_memory(self) -> int:
        """How many processes have been killed because the memory limit was reached."""
        try:
            return read_memory_kills(self._oom_file) if self._oom_file else 0
        except OSError:  # the group went with the container: ask how that ended
            with daemon_errors("tell how a container ended"):
                self._api.wait(self._id, condition="not-running")
                return _MANY if self._api.inspect_container(self._id)["State"]["OOMKilled"] else 0

    def refused_processes(self) -> int:
        """How many processes and threads could not start at the limit; 0 where that is not to be seen, or no more."""
        try:
            return read_refusals(self._pids_file) if self._pids_file else 0
        except OSError:
            return 0

    def execute(self, command: list[str], data: bytes, deadline: float) -> tuple[int, bytes]:
        """Run a program inside, beside the shell: exit status and standard output.

        Args:
            data: its standard input.
            deadline: by ``time.monotonic``; the program is left behind where it takes longer.

        Raises:
            SandboxError: it could not be run, or not in time.
        """
        with daemon_errors("run a program in a container"):
            made = self._api.exec_create(self._id, command, stdin=True)
            started = self._api.exec_start(made["Id"], socket=True)
            transport = AttachTransport(started._sock, started._response)
            try:
                transport.send(data, deadline)
                transport.finish()
                said = _all_of(transport, deadline)
            except (ShellGoneError, TimeoutError) as error:
                raise SandboxError("a program in a container did not end in time") from error
            finally:
                transport.close()
            return self._api.exec_inspect(made["Id"])["ExitCode"] or 0, said

    def end(self) -> None:
        """Kill it and let go of it, where no sandbox has taken it; ``remove`` waits for its death."""
        self.first.kill()
        self.first.close()
        self.shell.close()

    def remove(self) -> None:
        """Remove it from the daemon.

        Raises:
            SandboxError: the daemon refused.
        """
        with daemon_errors("remove a container"):
            # By its name where its making was not answered: it may have been made all the same.
            remove_container(self._api, self._id or self._called)
            if self._has_volume:
                remove_volume(self._api, self._name)

    def _start(self, tree: WorkTree | None) -> None:
        mark = secrets.token_hex(8)
        self._create(mark, empty_places() if tree is None else self._places(tree))
        parts = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = self._api.attach_socket(self._id, parts)
        self._transport = AttachTransport(attached._sock, attached._response)
        self.shell = Shell(self._transport, mark)
        try:
            self._api.start(self._id)
            self.first = self._find_first()
        except BaseException:
            self.shell.close()
            raise

    def _create(self, mark: str, places: list[Any]) -> None:
        command = driver_command(mark, prologue=_WAIT_FOR_WORD)
        inherited = (self._api.inspect_image(self.plan.image)["Config"] or {}).get("Env") or []
        dropped = {entry.partition("=")[0] for entry in inherited} - {name for name, _ in self.plan.variables}
        self._id = self._api.create_container(
            self.plan.image,
            command,
            name=self._called,
            labels=self._labels,
            user=f"{container_user()}:{os.getegid() or USER_ID}",
            hostname="repodojo",
            working_dir=WORK_DIR,
            environment=[*(f"{name}={value}" for name, value in self.plan.variables), *dropped],
            stdin_open=True,
            host_config=host_config(self._api, self.plan, places),
        )["Id"]

    def _places(self, tree: WorkTree) -> list[Any]:
        import docker.types

        lower = ":".join(map(str, reversed(tree.layers)))
        upper, work = tree.folder / "upper", tree.folder / "work"
        options = {
            "type": "overlay",
            "device": "overlay",
            "o": f"lowerdir={lower},upperdir={upper},workdir={work},userxattr",
        }
        driver = docker.types.DriverConfig("local", options)
        volume = docker.types.Mount(
            WORK_DIR, self._name, type="volume", no_copy=True, labels=self._labels, driver_config=driver
        )
        binds = (Mount(source=tree.folder / name, target=target, writable=True) for target, name in PLACES.items())
        return [volume, *map(bind, binds)]

    def _find_first(self) -> FirstProcess:
        state = self._api.inspect_container(self._id)["State"]
        pid = state["Pid"]
        if not pid:
            said = state.get("Error") or f"it ended with status {state.get('ExitCode')}"
            raise SandboxError(f"a container of the image {self.plan.image!r} gave no shell: {said}")
        try:
            first = FirstProcess(pid)
            is_ours = self._id in Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            is_ours = False
        if not is_ours:
            raise SandboxError(
                "the Docker daemon's containers are not to be seen on this machine: it runs elsewhere (in a virtual "
                "machine, or outside the container that we are in); use a daemon on this machine"
            )
        self._oom_file = oom_file_of(pid)
        self._pids_file = pids_file_of(pid)
        return first


def _all_of(transport: AttachTransport, deadline: float) -> bytes:
    """The whole standard output."""
    parts = []
    while (left := deadline - time.monotonic()) > 0:
        received = transport.receive(left)
        parts.append(received.status)
        if received.closed:
            return b"".join(parts)
    raise TimeoutError
