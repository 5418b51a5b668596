"""The connection to Docker Engine, and whether it is one that sandboxes can use."""

import os
import socket
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from agent_env.errors import BackendUnavailableError
from tasks.errors import BadInputError
from tasks.owner import process_namespace

OWNER_LABEL = "repodojo.owner"
"""On all that RepoDojo makes: the sandbox's name, which begins with the process id and start time of its owner."""

MACHINE_LABEL = "repodojo.machine"
"""Whose process ids those are: two containers that share one daemon do not reap each other's sandboxes."""

_REQUEST_SECONDS = 60

_clients: dict[int, Any] = {}
"""By process id: a forked child must not share its parent's connections."""

_locks: dict[int, threading.Lock] = {}
"""By process id: a child may be forked while another thread holds its parent's."""


KERNEL_SHARING = frozenset({"runc", "io.containerd.runc.v2", "crun", "youki", "nvidia"})
"""Runtimes whose containers are processes of this machine's kernel: the host sees them, and may mount for them."""


def docker_client() -> Any:
    """This process's client of the daemon.

    Raises:
        BackendUnavailableError: there is no ``docker`` package or no usable daemon; the message says how to mend it.
    """
    with _locks.setdefault(os.getpid(), threading.Lock()):
        client = _clients.get(os.getpid())
        if client is None:
            client = _clients[os.getpid()] = _connect()
    return client


def choose_runtime(client: Any, name: str | None) -> str:
    """The name of the OCI runtime that containers get.

    Args:
        client: a ``docker.DockerClient``.
        name: what the user asked for; the daemon's default where None.

    Raises:
        BadInputError: the daemon does not know it; the message lists those that it knows.
        BackendUnavailableError: the daemon does not answer.
    """
    import docker.errors
    import requests

    try:
        info = client.info()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise BackendUnavailableError(f"the Docker daemon stopped answering: {error}") from error
    known = sorted(info.get("Runtimes") or {})
    if name is not None and name not in known:
        raise BadInputError(
            f"unknown Docker runtime {name!r}: this daemon knows {', '.join(known)}; add another under `runtimes` in "
            "/etc/docker/daemon.json and reload the daemon"
        )
    return name or str(info.get("DefaultRuntime") or "runc")


@cache
def machine_id() -> str:
    """Names this boot of this machine and the process id namespace that we are in."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{process_namespace()}"


def _connect() -> Any:
    try:
        import docker
    except ImportError as error:
        raise BackendUnavailableError(
            "Docker was asked for and its Python package is not installed: `pip install 'repodojo[docker]'`"
        ) from error
    address = _socket_path()
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address)
        client = docker.DockerClient(base_url=f"unix://{address}", timeout=_REQUEST_SECONDS)
    except (docker.errors.DockerException, OSError) as error:
        raise BackendUnavailableError(_unreachable(address, error)) from error
    try:
        _require_shared_files(client.info().get("SecurityOptions") or [])
    except (docker.errors.DockerException, OSError) as error:
        client.close()
        raise BackendUnavailableError(_unreachable(address, error)) from error
    except BaseException:
        client.close()
        raise
    return client


def _socket_path() -> str:
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        raise BackendUnavailableError(
            f"the Docker daemon must run on this machine, and DOCKER_HOST is {host!r}: "
            "unset it, or point it to a local socket (unix:///var/run/docker.sock)"
        )
    return host.removeprefix("unix://")


def _require_shared_files(options: Sequence[str]) -> None:
    for name in ("rootless", "userns"):
        if any(option == f"name={name}" or option.startswith(f"name={name},") for option in options):
            raise BackendUnavailableError(
                f"this Docker daemon maps user ids ({name} mode), so that sandboxes cannot share files with the host: "
                "use a daemon without it, or --sandbox bubblewrap"
            )


def _unreachable(address: str, error: Exception) -> str:
    return (
        f"Docker was asked for and no Docker daemon answers on {address} ({str(error)[:300]}): start it "
        "(`sudo systemctl start docker`), join the group `docker`, or use --sandbox bubblewrap"
    )
