"""Removing containers and volumes from the daemon, also while somebody else is at the same."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from agent_env.errors import SandboxError
from agent_env.sandbox.docker.client import MACHINE_LABEL, OWNER_LABEL, machine_id
from tasks.owner import is_owner_alive

_CONFLICT = 409
"""The daemon's answer where something is in use, or somebody else is at it."""


def remove_container(api: Any, name: str) -> None:
    """Kill and remove a container; one that is gone already is fine."""
    import docker.errors

    with contextlib.suppress(docker.errors.NotFound):
        try:
            api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as error:
            if error.response.status_code != _CONFLICT:
                raise
            api.wait(name, condition="removed")  # another reaper is at it


def remove_volume(api: Any, name: str) -> None:
    """Remove a volume; one that is gone already is fine."""
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


def remove_orphans(api: Any) -> set[str]:
    """Remove what dead host processes of this machine left with the daemon; the owners' names."""
    reaped = set()
    query = {"label": [OWNER_LABEL, f"{MACHINE_LABEL}={machine_id()}"]}
    for container in api.containers(all=True, filters=query):
        if not is_owner_alive(container["Labels"][OWNER_LABEL]):
            remove_container(api, container["Id"])
            reaped.add(container["Labels"][OWNER_LABEL])
    for volume in api.volumes(filters=query)["Volumes"] or ():
        if not is_owner_alive(volume["Labels"][OWNER_LABEL]):
            remove_volume(api, volume["Name"])
            reaped.add(volume["Labels"][OWNER_LABEL])
    return reaped


@contextlib.contextmanager
def daemon_errors(doing: str) -> Iterator[None]:
    """What the daemon refuses, and its absence, as our own error."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxError(f"Docker could not {doing}: {error}") from error
