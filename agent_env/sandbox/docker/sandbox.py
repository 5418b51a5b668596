"""A sandbox in a Docker container: every start and every reset is a new container.

Where this process may mount (``mounts``), it was started ahead and gets the sandbox's files when it is taken;
elsewhere the daemon mounts them, as a volume, while it starts.
"""

import os
from pathlib import Path
from typing import ClassVar

from agent_env.errors import SandboxError
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.docker.container import Container, WorkTree
from agent_env.sandbox.docker.guard import leave_to_guard
from agent_env.sandbox.docker.layers import LaidLayers, lay_layers, own
from agent_env.sandbox.docker.mounts import mount_into, mount_memory
from agent_env.sandbox.docker.plan import PLACES, Plan, container_user
from agent_env.sandbox.docker.pool import WarmPool
from agent_env.sandbox.local import WRITABLE, LocalSandbox
from agent_env.sandbox.shell_tree import ShellTree


class DockerSandbox(LocalSandbox):
    """See ``Sandbox``.

    Args:
        pool: where started containers come from and dead ones go; None where there is none.
        quota: as for ``LocalSandbox``; only with a pool.
    """

    _sees_processes: ClassVar[bool] = True
    """Whether the host sees the container's processes."""

    def __init__(self, spec: SandboxSpec, plan: Plan, pool: WarmPool | None, quota: str = "") -> None:
        super().__init__(spec, quota)
        self._plan = plan
        self._pool = pool
        self._container: Container | None = None
        self._laid: LaidLayers | None = None
        self._begin()

    def _make_files(self) -> None:
        self._place.make()
        if self._place.quota and self._place.namespace is None:
            self._place.hold(*mount_memory(self._place.folder, self._place.quota))
        for name in WRITABLE:
            (self._files / name).mkdir(exist_ok=True)

    def _launch(self) -> ShellTree:
        if self._laid is None:
            self._laid = lay_layers(self._spec.layers, self._folder / "lower", container_user())
        if os.geteuid() == 0:
            for name in WRITABLE:
                os.chown(self._files / name, container_user(), container_user())
            for mount in self._spec.mounts:
                if mount.writable:
                    own(mount.source, container_user())
        self._put_away()
        container = self._container = self._start_container(self._laid.places)
        container.proceed()
        return ShellTree(container.shell, container.first, is_seen=self._sees_processes)

    def _release(self) -> None:
        """The container goes when the next one is needed, or for good: until then it tells how it ended."""

    def _discard(self) -> None:
        for descriptor in self._laid.holds if self._laid else ():
            os.close(descriptor)
        self._laid = None
        container, self._container = self._container, None
        if container is not None:
            self._remove(container)

    def _kills_for_memory(self) -> int:
        return self._container.kills_for_memory() if self._container else 0

    def _refused_processes(self) -> int:
        return self._container.refused_processes() if self._container else 0

    def _failure(self, said: str) -> SandboxError:
        return SandboxError(f"a container of the image {self._plan.image!r} gave no shell: {said or 'it said nothing'}")

    def _user(self) -> int | None:
        return container_user() if os.geteuid() == 0 else None

    def _start_container(self, layers: list[Path]) -> Container:
        if self._pool is None:
            return Container(self._plan, WorkTree(self._files, layers))
        container = self._pool.take(self._plan) or Container(self._plan)
        try:
            lower = [str(path.relative_to(self._folder)) for path in reversed(layers)]
            place = self._place
            where = (self._folder, place.namespace)
            mount_into(container.first.pid, *where, files=place.folder.name, lower=lower, binds=PLACES)
            if container.first.is_gone():
                raise SandboxError("a container died while it was being prepared")
        except BaseException:
            container.end()
            self._remove(container)
            raise
        return container

    def _put_away(self) -> None:
        """Have the container that served before removed: in the background where there is a pool."""
        container, self._container = self._container, None
        if container is not None and self._pool is not None:
            self._pool.bury(container)
        elif container is not None:
            self._remove(container)

    def _remove(self, container: Container) -> None:
        """Remove it; where the daemon is away, as soon as it is back, or after this process."""
        try:
            container.remove()
        except SandboxError:
            if self._pool is not None:
                self._pool.bury(container)
            else:
                leave_to_guard()
