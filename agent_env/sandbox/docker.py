"""The Docker backend: a container in the place of bubblewrap's namespaces, all else as there.

No network, no capabilities, no new privileges, Docker's system-call list less ours, a read-only root, limits of memory
and processes, a user that is not root. The work tree is an overlay volume whose writable layer lies in the residence,
so the host reads what changed without asking the container. The daemon must therefore run on this machine.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent_env.errors import BackendUnavailableError, SandboxError
from agent_env.sandbox.base import WORK_DIR, Mount, Problem, SandboxSpec
from agent_env.sandbox.base_image import choose_image
from agent_env.sandbox.cgroup import oom_file_of, read_memory_kills
from agent_env.sandbox.docker_attach import AttachTransport
from agent_env.sandbox.docker_client import MACHINE_LABEL, OWNER_LABEL, docker_client, machine_id
from agent_env.sandbox.docker_guard import ensure_guard
from agent_env.sandbox.docker_layers import lay_layers, own
from agent_env.sandbox.docker_profile import seccomp_profile
from agent_env.sandbox.hostroot import HOME_DIR, USER_ID, base_variables, etc_files, network_mounts
from agent_env.sandbox.local import WRITABLE, LocalSandbox
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.residence import (
    is_owner_alive,
    new_residence,
    reap_residences,
    remove_residence,
    residence_base,
)
from agent_env.sandbox.shell import Shell, driver_command

_CONFLICT = 409
"""The daemon's answer where something is in use, or somebody else is at it."""


_MANY = 1 << 30
"""More processes than a group can have seen killed."""


class DockerSandbox(LocalSandbox):
    """See ``Sandbox``."""

    def __init__(self, spec: SandboxSpec, client: Any, image: str) -> None:
        super().__init__(spec)
        self._api = client.api
        self._image = image
        self._name = f"repodojo-{self._folder.name}-{secrets.token_hex(3)}"
        self._labels = {OWNER_LABEL: self._folder.name, MACHINE_LABEL: machine_id()}
        self._mark = secrets.token_hex(8)
        self._container = ""
        self._oom_file: Path | None = None
        self._begin()

    def _launch(self) -> tuple[Shell, FirstProcess]:
        if os.geteuid() == 0:
            for name in WRITABLE:
                os.chown(self._folder / name, self._uid, self._uid)
            for mount in self._spec.mounts:
                if mount.writable:
                    own(mount.source, self._uid)
        with _daemon_errors("start a container"):
            if not self._container:
                self._create()
            parts = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._api.attach_socket(self._container, parts)
            transport = AttachTransport(attached._sock, attached._response)
            try:
                self._api.start(self._container)
                first = self._find_first()
            except BaseException:
                transport.close()
                raise
        return Shell(transport, self._mark), first

    def _release(self) -> None:
        if self._container:
            with _daemon_errors("stop a container"):
                self._api.wait(self._container, condition="not-running")

    def _discard(self) -> None:
        with _daemon_errors("remove a container"):
            if self._container:
                _remove_container(self._api, self._container)
                self._container = ""
            _remove_volume(self._api, self._name)

    def _kills_for_memory(self) -> int:
        try:
            return read_memory_kills(self._oom_file) if self._oom_file else 0
        except OSError:  # the group went with the container: ask how that ended
            with _daemon_errors("tell how a container ended"):
                self._api.wait(self._container, condition="not-running")
                return _MANY if self._api.inspect_container(self._container)["State"]["OOMKilled"] else 0

    def _failure(self, said: str) -> SandboxError:
        return SandboxError(f"a container of the image {self._image!r} gave no shell: {said or 'it said nothing'}")

    def _user(self) -> int | None:
        return self._uid if os.geteuid() == 0 else None

    @property
    def _uid(self) -> int:
        """The container's user: who runs RepoDojo, so that both may touch the same files, but never root."""
        return os.geteuid() or USER_ID

    def _create(self) -> None:
        variables = base_variables() | dict(self._spec.variables)
        inherited = (self._api.inspect_image(self._image)["Config"] or {}).get("Env") or []
        dropped = {entry.partition("=")[0] for entry in inherited} - set(variables)
        self._container = self._api.create_container(
            self._image,
            driver_command(self._mark),
            name=self._name,
            labels=self._labels,
            user=f"{self._uid}:{os.getegid() or USER_ID}",
            hostname="repodojo",
            working_dir=WORK_DIR,
            environment=[*(f"{name}={value}" for name, value in variables.items()), *dropped],
            stdin_open=True,
            host_config=self._host_config(),
        )["Id"]

    def _host_config(self) -> Any:
        import docker.types

        limits = self._spec.limits
        return self._api.create_host_config(
            mounts=self._mounts(),
            network_mode="host" if self._spec.network else "none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            read_only=True,
            init=True,
            ipc_mode="private",
            pids_limit=limits.processes,
            mem_limit=limits.memory_bytes,
            memswap_limit=limits.memory_bytes,
            ulimits=[
                docker.types.Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
                docker.types.Ulimit(name="core", soft=0, hard=0),
            ],
            log_config=docker.types.LogConfig(type="none"),
        )

    def _mounts(self) -> list[Any]:
        import docker.types

        folder = self._folder
        binds = [Mount(source=folder / "tmp", target="/tmp", writable=True)]
        binds += [Mount(source=folder / "home", target=HOME_DIR, writable=True)]
        etc = folder / "etc"
        etc.mkdir(exist_ok=True)
        for name, content in etc_files(self._uid).items():
            (etc / name).write_text(content)
            binds.append(Mount(source=etc / name, target=f"/etc/{name}"))
        empty = folder / "empty"
        empty.mkdir(exist_ok=True)
        binds += [
            *self._open_root_home(),
            *self._spec.mounts,
            *(Mount(source=empty, target=target) for target in self._spec.hidden),
        ]
        if self._spec.network:
            targets = {mount.target for mount in network_mounts()}
            binds = [*(mount for mount in binds if mount.target not in targets), *network_mounts()]
        if os.geteuid() == 0:
            for name in ("etc", "empty", "root"):
                if (folder / name).exists():
                    own(folder / name, self._uid)  # readable whatever the umask
        lower = ":".join(map(str, reversed(lay_layers(self._spec.layers, folder / "lower", self._uid))))
        options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'},userxattr"
        driver = docker.types.DriverConfig("local", {"type": "overlay", "device": "overlay", "o": options})
        volume = docker.types.Mount(
            WORK_DIR, self._name, type="volume", no_copy=True, labels=self._labels, driver_config=driver
        )
        return [volume, *(_bind(mount) for mount in binds)]

    def _open_root_home(self) -> list[Mount]:
        """Where something is mounted below /root, which no one else may enter: a folder in its place that all may."""
        inside = [mount for mount in self._spec.mounts if mount.target.startswith("/root/")]
        folder = self._folder / "root"
        for mount in inside:
            place = folder / mount.target.removeprefix("/root/")
            (place if mount.source.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
            if not mount.source.is_dir():
                place.touch()
        return [Mount(source=folder, target="/root")] if inside else []

    def _find_first(self) -> FirstProcess:
        state = self._api.inspect_container(self._container)["State"]
        pid = state["Pid"]
        if not pid:
            raise self._failure(state.get("Error") or f"it ended with status {state.get('ExitCode')}")
        try:
            first = FirstProcess(pid)
            is_ours = self._container in Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            is_ours = False
        if not is_ours:
            raise SandboxError(
                "the Docker daemon's containers are not to be seen on this machine: it runs elsewhere (in a virtual "
                "machine, or outside the container that we are in); use a daemon on this machine"
            )
        self._oom_file = oom_file_of(pid)
        return first


class DockerBackend:
    """See ``SandboxBackend``.

    Args:
        image: what containers are made of; see ``base_image.choose_image`` where None.
    """

    name = "docker"

    def __init__(self, image: str | None = None) -> None:
        self._wanted = image
        self._image: str | None = None

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """See ``SandboxBackend.create``.

        Raises:
            BackendUnavailableError: there is no Docker, or no image.
        """
        client = docker_client()
        if self._image is None:
            self._image = choose_image(client, self._wanted)
        ensure_guard()
        return DockerSandbox(spec, client, self._image)

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        layer = new_residence(residence_base())
        try:
            self.create(SandboxSpec(layers=(layer,))).close()
        except (SandboxError, BackendUnavailableError) as error:
            return [Problem(str(error), "see the message, or use --sandbox bubblewrap", fatal=True)]
        finally:
            remove_residence(layer)
        return []

    def reap(self) -> int:
        """See ``SandboxBackend.reap``."""
        api = docker_client().api
        reaped = set()
        with _daemon_errors("remove what was left"):
            query = {"label": [OWNER_LABEL, f"{MACHINE_LABEL}={machine_id()}"]}
            for container in api.containers(all=True, filters=query):
                if not is_owner_alive(container["Labels"][OWNER_LABEL]):
                    _remove_container(api, container["Id"])
                    reaped.add(container["Labels"][OWNER_LABEL])
            for volume in api.volumes(filters=query)["Volumes"] or ():
                if not is_owner_alive(volume["Labels"][OWNER_LABEL]):
                    _remove_volume(api, volume["Name"])
                    reaped.add(volume["Labels"][OWNER_LABEL])
        return max(reap_residences(residence_base()), len(reaped))


def _bind(mount: Mount) -> Any:
    import docker.types

    return docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=not mount.writable)


def _remove_container(api: Any, name: str) -> None:
    import docker.errors

    with contextlib.suppress(docker.errors.NotFound):
        try:
            api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as error:
            if error.response.status_code != _CONFLICT:
                raise
            api.wait(name, condition="removed")  # another reaper is at it


def _remove_volume(api: Any, name: str) -> None:
    import docker.errors

    for last in (*[False] * 50, True):
        try:
            api.remove_volume(name, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if last or error.response.status_code != _CONFLICT:
                raise
            time.sleep(0.1)  # its container is still being removed
        else:
            return


@contextlib.contextmanager
def _daemon_errors(doing: str) -> Iterator[None]:
    """What the daemon refuses, and its absence, as our own error."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxError(f"Docker could not {doing}: {error}") from error
