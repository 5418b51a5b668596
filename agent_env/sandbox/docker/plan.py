"""What a container is made from, fixed when it is created: image, runtime, mounts, variables, limits. What a task adds
(the work tree, /tmp, home) comes later, so containers of one plan stand in for each other.
"""

import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent_env.sandbox.base import WORK_DIR, Limits, Mount, SandboxSpec
from agent_env.sandbox.docker.profile import seccomp_profile
from agent_env.sandbox.hostroot import HOME_DIR, USER_ID, base_variables, etc_files, network_mounts
from agent_env.sandbox.spawner import OPEN_FILES
from tasks.home import home

PLACES = {"/tmp": "tmp", HOME_DIR: "home"}
"""Where a residence's writable folders stand inside, beside the work tree."""


@dataclass(frozen=True)
class Plan:
    """All that containers must have in common to stand in for each other."""

    image: str
    runtime: str | None
    mounts: tuple[Mount, ...]
    stamps: tuple[tuple[int, int], ...]
    """Which file or folder each mount was: another one may have taken its name since."""
    hidden: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    limits: Limits
    network: bool


def make_plan(spec: SandboxSpec, image: str, runtime: str | None) -> Plan:
    """The plan for a spec."""
    return Plan(
        image=image,
        runtime=runtime,
        mounts=spec.mounts,
        stamps=tuple(_stamp(mount.source) for mount in spec.mounts),
        hidden=spec.hidden,
        variables=tuple((base_variables() | dict(spec.variables)).items()),
        limits=replace(spec.limits, output_bytes=0, disk_bytes=0, inodes=0),  # those are the host's own affair
        network=spec.network,
    )


def container_user() -> int:
    """The container's user: who runs RepoDojo, so that both may touch the same files, but never root."""
    return os.geteuid() or USER_ID


def host_config(api: Any, plan: Plan, places: list[Any]) -> Any:
    """Docker's host configuration: the walls and limits of every container.

    Args:
        places: Docker mounts for ``WORK_DIR`` and ``PLACES``.
    """
    import docker.types

    limits = plan.limits
    return api.create_host_config(
        mounts=[*places, *(bind(mount) for mount in _fixed_mounts(plan))],
        runtime=plan.runtime,
        network_mode="host" if plan.network else "none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
        read_only=True,
        init=True,
        ipc_mode="private",
        pids_limit=limits.processes,
        nano_cpus=int(min(limits.cpus, os.cpu_count() or 1) * 1e9),
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,
        ulimits=[
            docker.types.Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
            docker.types.Ulimit(name="core", soft=0, hard=0),
            docker.types.Ulimit(name="nofile", soft=1024, hard=OPEN_FILES),
        ],
        log_config=docker.types.LogConfig(type="none"),
    )


def empty_places() -> list[Any]:
    """Read-only stand-ins for ``WORK_DIR`` and ``PLACES``, to be mounted over."""
    empty = _static_folder(()) / "empty"
    return [bind(Mount(source=empty, target=target)) for target in (WORK_DIR, *PLACES)]


def bind(mount: Mount) -> Any:
    """A mount in Docker's words."""
    import docker.types

    return docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=not mount.writable)


def _fixed_mounts(plan: Plan) -> list[Mount]:
    below_root = tuple(
        (mount.target.removeprefix("/root/"), mount.source.is_dir())
        for mount in plan.mounts
        if mount.target.startswith("/root/")
    )
    static = _static_folder(below_root)
    mounts = [Mount(source=path, target=f"/etc/{path.name}") for path in sorted((static / "etc").iterdir())]
    if below_root:
        mounts.append(Mount(source=static / "root", target="/root"))
    mounts += [*plan.mounts, *(Mount(source=static / "empty", target=target) for target in plan.hidden)]
    if plan.network:
        online = network_mounts()
        targets = {mount.target for mount in online}
        mounts = [*(mount for mount in mounts if mount.target not in targets), *online]
    return mounts


def _static_folder(below_root: tuple[tuple[str, bool], ...]) -> Path:
    """``etc`` with the container's own files, an ``empty`` folder, and ``root``; made where it is not there yet, and
    named by what is in it.

    ``root`` stands in the place of /root, which no one else may enter, where something is mounted below it.

    Args:
        below_root: what is to be mounted there: path below /root, and whether it is a folder.
    """
    files = etc_files(container_user())
    name = hashlib.sha256(repr((files, below_root)).encode()).hexdigest()[:12]
    target = home() / "etc" / f"docker-{name}"
    if target.is_dir():
        return target
    beside = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    for folder in ("etc", "empty", "root"):
        (beside / folder).mkdir(parents=True)
    for file, content in files.items():
        (beside / "etc" / file).write_text(content)
    for path, is_folder in below_root:
        place = beside / "root" / path
        (place if is_folder else place.parent).mkdir(parents=True, exist_ok=True)
        if not is_folder:
            place.touch()
    for made in (beside, *beside.rglob("*")):
        made.chmod(0o755 if made.is_dir() else 0o644)  # readable whatever the umask
    try:
        beside.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(beside)
    return target


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)  # the daemon says what is amiss, and names it
    return (status.st_dev, status.st_ino)
