"""The Docker backend: a container in the place of bubblewrap's namespaces, all else as there.

No network, no capabilities, no new privileges, Docker's system-call list less ours, a read-only root, limits of memory
and processes, a user that is not root. The work tree is an overlay whose writable layer lies in the residence, so the
host reads what changed without asking the container. The daemon must therefore run on this machine.
"""

import os
from collections.abc import Iterator

from agent_env.errors import BackendUnavailableError, SandboxError
from agent_env.sandbox.base import Problem, SandboxSpec
from agent_env.sandbox.docker.base_image import choose_image
from agent_env.sandbox.docker.client import KERNEL_SHARING, choose_runtime, docker_client
from agent_env.sandbox.docker.foreign import ForeignDockerSandbox
from agent_env.sandbox.docker.guard import ensure_guard
from agent_env.sandbox.docker.kept import reap_copies
from agent_env.sandbox.docker.mounts import holds_quotas, may_mount
from agent_env.sandbox.docker.plan import make_plan
from agent_env.sandbox.docker.pool import WarmPool
from agent_env.sandbox.docker.remove import daemon_errors, remove_orphans
from agent_env.sandbox.docker.sandbox import DockerSandbox
from agent_env.sandbox.place import quota_options
from agent_env.sandbox.residence import (
    files_in_memory,
    new_residence,
    reap_residences,
    remove_residence,
    residence_base,
)


class DockerBackend:
    """See ``SandboxBackend``.

    Args:
        image: what containers are made of; see ``base_image.choose_image`` where None.
        runtime: the OCI runtime, by the name that the daemon knows it by (``runsc``); the daemon's default where None.
        warm: how many containers to keep started ahead of their use, for what is asked for again and again; 0 for none.
            Only where this process may mount (``mounts.may_mount``) and the runtime shares the host's kernel.
    """

    name = "docker"

    def __init__(self, image: str | None = None, *, runtime: str | None = None, warm: int = 2) -> None:
        self._wanted = image
        self._runtime = runtime
        self._warm = warm
        self._image: str | None = None
        self._shares_kernel = False
        self._pools: dict[int, WarmPool] = {}
        """By process id: a forked child has containers of its own."""

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """See ``SandboxBackend.create``.

        Raises:
            BackendUnavailableError: there is no Docker, or no image.
            BadInputError: the daemon does not know the runtime.
        """
        client = docker_client()
        if self._image is None:
            self._shares_kernel = choose_runtime(client, self._runtime) in KERNEL_SHARING
            self._image = choose_image(client, self._wanted)
        ensure_guard()
        plan = make_plan(spec, self._image, self._runtime)
        if not self._shares_kernel:
            return ForeignDockerSandbox(spec, plan, None)
        quota = quota_options(spec.limits) if _has_quotas() else ""
        return DockerSandbox(spec, plan, self._pool(), quota)

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        try:
            layer = new_residence(residence_base())
        except SandboxError as error:
            return [Problem(str(error), "see the message", fatal=True)]
        try:
            self.create(SandboxSpec(layers=(layer,))).close()
        except (SandboxError, BackendUnavailableError) as error:
            return [Problem(str(error), "see the message, or use --sandbox bubblewrap", fatal=True)]
        finally:
            remove_residence(layer)
        return [Problem(what, mend, fatal=False) for what, mend in self._weaknesses()]

    def _weaknesses(self) -> Iterator[tuple[str, str]]:
        """What does not hold here, and how to mend it."""
        if self._pool() is None:
            what = "containers cannot be started ahead, and limits on files are only looked at, twice a second"
            price = "that is the price of a runtime with a kernel of its own"
            yield what, "run as root, who may mount" if self._shares_kernel else price
        elif not _has_quotas():
            mend = "Linux 6.6, and no REPODOJO_SANDBOX_FILES=disk; until then they are looked at twice a second"
            yield "limits on files are not held by the kernel here", mend

    def reap(self) -> int:
        """See ``SandboxBackend.reap``."""
        reaped: set[str] = set()
        try:
            api = docker_client().api
            with daemon_errors("remove what was left"):
                reaped = remove_orphans(api)
        finally:  # what lies on the host goes without the daemon too
            count = max(reap_residences(residence_base()), len(reaped)) + reap_copies()
        return count

    def close(self) -> None:
        """Remove the containers that were started ahead; sandboxes stay. The backend may be used again."""
        pool = self._pools.get(os.getpid())
        if pool is not None:
            pool.close()

    def ready(self) -> int:
        """How many containers stand ready to be taken."""
        pool = self._pools.get(os.getpid())
        return 0 if pool is None else len(pool)

    def _pool(self) -> WarmPool | None:
        if not (self._shares_kernel and may_mount()):
            return None
        return self._pools.setdefault(os.getpid(), WarmPool(self._warm))


def _has_quotas() -> bool:
    """Whether each sandbox's files get a memory filesystem of their own."""
    return files_in_memory() and holds_quotas()
