"""The Docker backend: a container in the place of bubblewrap's namespaces, all else as there.

No network, no capabilities, no new privileges, Docker's system-call list less ours, a read-only root, limits of memory
and processes, a user that is not root. The work tree is an overlay whose writable layer lies in the residence, so the
host reads what changed without asking the container. The daemon must therefore run on this machine.

Every start and every reset is a new container. Where this process may mount (``docker_mounts``), it was started ahead
and gets the sandbox's files when it is taken; elsewhere the daemon mounts them, as a volume, while it starts.
"""

import os
from pathlib import Path

from agent_env.errors import BackendUnavailableError, SandboxError
from agent_env.sandbox.base import Problem, SandboxSpec
from agent_env.sandbox.base_image import choose_image
from agent_env.sandbox.docker_client import docker_client
from agent_env.sandbox.docker_container import Container, WorkTree
from agent_env.sandbox.docker_guard import ensure_guard
from agent_env.sandbox.docker_layers import lay_layers, own
from agent_env.sandbox.docker_mounts import may_mount, mount_into
from agent_env.sandbox.docker_plan import PLACES, Plan, container_user, make_plan
from agent_env.sandbox.docker_pool import WarmPool
from agent_env.sandbox.docker_remove import daemon_errors, remove_orphans
from agent_env.sandbox.local import WRITABLE, LocalSandbox
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.residence import new_residence, reap_residences, remove_residence, residence_base
from agent_env.sandbox.shell import Shell


class DockerSandbox(LocalSandbox):
    """See ``Sandbox``.

    Args:
        pool: where started containers come from and dead ones go; None where there is none.
    """

    def __init__(self, spec: SandboxSpec, plan: Plan, pool: WarmPool | None) -> None:
        super().__init__(spec)
        self._plan = plan
        self._pool = pool
        self._container: Container | None = None
        self._lower: list[Path] = []
        self._begin()

    def _launch(self) -> tuple[Shell, FirstProcess]:
        if not self._lower:
            self._lower = lay_layers(self._spec.layers, self._folder / "lower", container_user())
        if os.geteuid() == 0:
            for name in WRITABLE:
                os.chown(self._folder / name, container_user(), container_user())
            for mount in self._spec.mounts:
                if mount.writable:
                    own(mount.source, container_user())
        self._put_away()
        container = self._container = self._start_container()
        container.proceed()
        return container.shell, container.first

    def _release(self) -> None:
        """The container goes when the next one is needed, or for good: until then it tells how it ended."""

    def _discard(self) -> None:
        if self._container is not None:
            self._container.remove()
            self._container = None

    def _kills_for_memory(self) -> int:
        return self._container.kills_for_memory() if self._container else 0

    def _failure(self, said: str) -> SandboxError:
        return SandboxError(f"a container of the image {self._plan.image!r} gave no shell: {said or 'it said nothing'}")

    def _user(self) -> int | None:
        return container_user() if os.geteuid() == 0 else None

    def _start_container(self) -> Container:
        if self._pool is None:
            return Container(self._plan, WorkTree(self._folder, self._lower))
        container = self._pool.take(self._plan) or Container(self._plan)
        try:
            lower = [str(path.relative_to(self._folder)) for path in reversed(self._lower)]
            mount_into(container.first.pid, self._folder, lower=lower, binds=PLACES)
            if container.first.is_gone():
                raise SandboxError("a container died while it was being prepared")
        except BaseException:
            container.end()
            container.remove()
            raise
        return container

    def _put_away(self) -> None:
        """Have the container that served before removed: in the background where there is a pool."""
        container, self._container = self._container, None
        if container is not None and self._pool is not None:
            self._pool.bury(container)
        elif container is not None:
            container.remove()


class DockerBackend:
    """See ``SandboxBackend``.

    Args:
        image: what containers are made of; see ``base_image.choose_image`` where None.
        warm: how many containers to keep started ahead of their use, for what is asked for again and again; 0 for none.
            Only where this process may mount (``docker_mounts.may_mount``).
    """

    name = "docker"

    def __init__(self, image: str | None = None, *, warm: int = 2) -> None:
        self._wanted = image
        self._warm = warm
        self._image: str | None = None
        self._pools: dict[int, WarmPool] = {}
        """By process id: a forked child has containers of its own."""

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """See ``SandboxBackend.create``.

        Raises:
            BackendUnavailableError: there is no Docker, or no image.
        """
        client = docker_client()
        if self._image is None:
            self._image = choose_image(client, self._wanted)
        ensure_guard()
        return DockerSandbox(spec, make_plan(spec, self._image, None), self._pool())

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        layer = new_residence(residence_base())
        try:
            self.create(SandboxSpec(layers=(layer,))).close()
        except (SandboxError, BackendUnavailableError) as error:
            return [Problem(str(error), "see the message, or use --sandbox bubblewrap", fatal=True)]
        finally:
            remove_residence(layer)
        if self._pool() is None:
            mend = "run as root; until then every start and reset of a Docker sandbox waits for a new container"
            return [Problem("containers cannot be started ahead: that takes root's right to mount", mend, fatal=False)]
        return []

    def reap(self) -> int:
        """See ``SandboxBackend.reap``."""
        api = docker_client().api
        with daemon_errors("remove what was left"):
            reaped = remove_orphans(api)
        return max(reap_residences(residence_base()), len(reaped))

    def close(self) -> None:
        """Remove the containers that were started ahead; sandboxes stay. The backend may be used again."""
        pool = self._pools.get(os.getpid())
        if pool is not None:
            pool.close()

    def _pool(self) -> WarmPool | None:
        if not may_mount():
            return None
        return self._pools.setdefault(os.getpid(), WarmPool(self._warm))
