"""What is on the machine that a sandbox may leave behind: processes, containers, mounts, control groups, folders."""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.cgroup import group_folders
from agent_env.sandbox.docker.client import OWNER_LABEL, docker_client
from agent_env.sandbox.processes import descendants
from agent_env.sandbox.residence import making_in, residence_base
from tasks.home import home

GUARD_SECONDS = 150.0
"""How long a killed host process's Docker guard may go on: it looks until 60 s after the daemon first answered."""

ENDING_SECONDS = 2.0
"""How long processes of one that has ended in order may take to die: all of them were killed before."""


class Leavings(NamedTuple):
    """Names of what there is."""

    processes: list[str]
    containers: list[str]
    """Containers and volumes."""
    mounts: list[str]
    groups: list[str]
    folders: list[str]
    """Of sandboxes, of what was being made in the cache, and in the place for temporary files."""


def look(owners: set[int], *, patience: float, guarded: Collection[int] = ()) -> Leavings:
    """What host processes, by their ids, have left behind; they are dead, so whatever bears their name is left over.

    A process also counts where it was started with this run's own cache (``$REPODOJO_HOME``), as what helps a host
    process is: its spawner, the monitor's reader, its Docker guard. This process and those below it do not.

    Args:
        patience: seconds that such helpers have to end by themselves.
        guarded: host processes, dead before, whose guards may still be at work.
    """
    places = (residence_base(), making_in(home() / "builds"), making_in(home() / "owned"), Path(tempfile.gettempdir()))
    names = re.compile(rf"(^|[/-])({'|'.join(map(str, owners))})-\d{{2,}}([-/]|$)")
    _wait_until(lambda: not _helpers(guarded), patience)
    return Leavings(
        processes=sorted({*(name for name, facts in _processes() if names.search(facts)), *_helpers(guarded)}),
        containers=[name for name in _containers() if names.search(name)],
        mounts=[line for line in Path("/proc/self/mountinfo").read_text().splitlines() if names.search(line)],
        groups=[str(folder) for folder in group_folders() if names.search(folder.name)],
        folders=[str(path) for place in places for path in place.glob("*") if names.search(path.name)],
    )


def strays() -> list[str]:
    """Whatever else lies in the place for temporary files, which is the run's own."""
    place = Path(tempfile.gettempdir())
    return [str(path) for path in place.iterdir() if path.name != residence_base().name]


def _processes() -> Iterator[tuple[str, str]]:
    """Every other process: what it is called, and the group and mounts that it lives in."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            yield _called(folder), (folder / "cgroup").read_text() + (folder / "mountinfo").read_text()


def _helpers(guarded: Collection[int]) -> list[str]:
    """Processes that were started with this run's cache; what they are called."""
    mark = b"REPODOJO_HOME=" + os.fsencode(home())
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            is_marked = mark in (folder / "environ").read_bytes().split(b"\0")
            if is_marked and int(folder.name) not in descendants(os.getpid()) and _guards(folder) not in guarded:
                found.append(_called(folder))
    return found


def _guards(folder: Path) -> int | None:
    """The host process that a process guards; None where it is no guard."""
    parts = (folder / "cmdline").read_bytes().split(b"\0")
    is_guard = any(b"reap_after_death" in part for part in parts)
    return int(parts[-2]) if is_guard else None


def _called(folder: Path) -> str:
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return f"{folder.name} {command[:120]}"


def _wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.2)


def _containers() -> list[str]:
    try:
        client = docker_client()
    except BackendUnavailableError:
        return []
    containers = client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True)
    volumes = client.volumes.list(filters={"label": OWNER_LABEL})
    return [item.name for item in (*containers, *volumes)]
