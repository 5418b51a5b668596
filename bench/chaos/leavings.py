"""What is on the machine that a sandbox may leave behind: processes, containers, mounts, control groups, folders."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.cgroup import group_folders
from agent_env.sandbox.docker.client import OWNER_LABEL, docker_client
from agent_env.sandbox.residence import residence_base
from tasks.home import home


class Leavings(NamedTuple):
    """Names of what there is."""

    processes: list[str]
    containers: list[str]
    """Containers and volumes."""
    mounts: list[str]
    groups: list[str]
    folders: list[str]
    """Of sandboxes, of what was being made in the cache, and in the place for temporary files."""


def look(owners: set[int]) -> Leavings:
    """What host processes, by their ids, have left behind; they are dead, so whatever bears their name is left over."""
    places = (residence_base(), home() / "builds" / "making", home() / "owned" / "making", Path(tempfile.gettempdir()))
    names = re.compile(rf"(^|[/-])({'|'.join(map(str, owners))})-\d{{2,}}([-/]|$)")
    return Leavings(
        processes=[name for name, facts in _processes() if names.search(facts)],
        containers=[name for name in _containers() if names.search(name)],
        mounts=[line for line in Path("/proc/self/mountinfo").read_text().splitlines() if names.search(line)],
        groups=[str(folder) for folder in group_folders() if names.search(folder.name)],
        folders=[str(path) for place in places for path in place.glob("*") if names.search(path.name)],
    )


def strays() -> list[str]:
    """Whatever else lies in the place for temporary files, which is the run's own."""
    place = Path(tempfile.gettempdir())
    return [str(path) for path in place.iterdir() if path.name != f"repodojo-{os.getuid()}"]


def _processes() -> Iterator[tuple[str, str]]:
    """Every other process: what it is called, and the group and mounts that it lives in."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
            yield f"{folder.name} {command}", (folder / "cgroup").read_text() + (folder / "mountinfo").read_text()


def _containers() -> list[str]:
    try:
        client = docker_client()
    except BackendUnavailableError:
        return []
    containers = client.containers.list(all=True, filters={"label": OWNER_LABEL})
    volumes = client.volumes.list(filters={"label": OWNER_LABEL})
    return [item.name for item in (*containers, *volumes)]
