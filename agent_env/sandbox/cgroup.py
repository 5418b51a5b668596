"""Memory and process limits of one sandbox by a control group, version 1 or 2, where this process may make one.

Where it may not (an ordinary user, a container with a read-only hierarchy), ``make_group`` gives None and the backend
falls back to per-process limits.
"""

import contextlib
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agent_env.sandbox.base import Limits

ROOT = Path("/sys/fs/cgroup")
FOLDER = "repodojo"
"""All groups of RepoDojo stand below this one, in each hierarchy."""


class _Hierarchy(NamedTuple):
    """How one version names its folders and files."""

    folders: dict[str, Path]
    """Controller to the folder that holds the groups."""
    memory_limit: str
    oom_file: str
    join_file: str
    """What a process writes 0 to in order to join: by version 1's ``tasks`` a process of one thread joins without the
    lock that stops every fork and exit of the machine, and that takes up to 20 ms to get."""


class Group:
    """The control group of one sandbox."""

    def __init__(self, hierarchy: _Hierarchy, name: str, limits: Limits) -> None:
        self._oom_file = hierarchy.folders["memory"] / name / hierarchy.oom_file
        self._join_file = hierarchy.join_file
        self._folders = {folder / name for folder in hierarchy.folders.values()}
        for folder in self._folders:
            folder.mkdir(exist_ok=True)
        (hierarchy.folders["memory"] / name / hierarchy.memory_limit).write_text(str(limits.memory_bytes))
        (hierarchy.folders["pids"] / name / "pids.max").write_text(str(limits.processes))

    def join_files(self) -> list[str]:
        """The files that a process of one thread writes 0 to in order to join, with all that it will start."""
        return [str(folder / self._join_file) for folder in sorted(self._folders)]

    def kills_for_memory(self) -> int:
        """How many processes the kernel has killed because the memory limit was reached."""
        return read_memory_kills(self._oom_file)

    def remove(self) -> None:
        """Remove the group; its processes must be dead."""
        for folder in self._folders:
            remove_group_folder(folder)


def make_group(name: str, limits: Limits) -> Group | None:
    """Make a group of that name, or None where this machine does not let us."""
    hierarchy = _hierarchy()
    if hierarchy is None:
        return None
    try:
        return Group(hierarchy, name, limits)
    except OSError:
        return None


def read_memory_kills(oom_file: Path) -> int:
    """The kernel's count of processes killed at a group's memory limit, from ``memory.oom_control`` or ``.events``."""
    for line in oom_file.read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def oom_file_of(pid: int) -> Path | None:
    """The file for ``read_memory_kills`` of the group that a process is in, or None where it is not to be seen."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for _, controllers, path in sorted((line.split(":", 2) for line in lines), reverse=True):  # version 1 first
        base, name = (ROOT, "memory.events") if not controllers else (ROOT / "memory", "memory.oom_control")
        found = base / path.lstrip("/") / name
        if controllers in ("", "memory") and found.is_file():
            return found
    return None


def group_folders() -> list[Path]:
    """Every group folder of RepoDojo, in all hierarchies; named as in ``make_group``."""
    hierarchy = _hierarchy()
    found = [] if hierarchy is None else sorted(set(hierarchy.folders.values()))
    return [child for folder in found for child in folder.iterdir() if child.is_dir()]


def remove_group_folder(folder: Path) -> None:
    """Remove a group's folder; the kernel may still be letting go of its last process, so try for half a second."""
    for _ in range(2500):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.0002)
        else:
            return


@cache
def _hierarchy() -> _Hierarchy | None:
    with contextlib.suppress(OSError):
        return _version_2() if (ROOT / "cgroup.controllers").is_file() else _version_1()
    return None


def _version_1() -> _Hierarchy:
    folders = {controller: ROOT / controller / FOLDER for controller in ("memory", "pids")}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    return _Hierarchy(folders, "memory.limit_in_bytes", "memory.oom_control", "tasks")


def _version_2() -> _Hierarchy:
    own = Path("/proc/self/cgroup").read_text().partition("::")[2].splitlines()[0].lstrip("/")
    base = ROOT / own
    folder = base / FOLDER
    folder.mkdir(exist_ok=True)
    for parent in (base, folder):
        if not {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()):
            (parent / "cgroup.subtree_control").write_text("+memory +pids")
    return _Hierarchy({"memory": folder, "pids": folder}, "memory.max", "memory.events", "cgroup.procs")
