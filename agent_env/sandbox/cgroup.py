"""Memory, process and processor limits of one sandbox by a control group, version 1 or 2, where this process may make
one.

Where it may not (an ordinary user, a container with a read-only hierarchy), ``make_group`` gives None and the backend
falls back to per-process limits. By the kernel's documents: admin-guide/cgroup-v1/memory.rst,
admin-guide/cgroup-v2.rst, scheduler/sched-bwc.rst.
"""

import contextlib
import os
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agent_env.sandbox.base import Limits

ROOT = Path("/sys/fs/cgroup")
FOLDER = "repodojo"
"""All groups of RepoDojo stand below this one, in each hierarchy."""

_PERIOD = 100_000
"""Microseconds over which processor time is shared out."""


class Hierarchy(NamedTuple):
    """How one version names its folders and files."""

    version: int
    folders: dict[str, Path]
    """Controller to the folder that holds the groups; ``memory`` and ``pids`` always, ``cpu`` where it can be had."""

    @property
    def oom_file(self) -> str:
        """What tells of processes killed for memory."""
        return "memory.oom_control" if self.version == 1 else "memory.events"

    @property
    def join_file(self) -> str:
        """What a process writes 0 to in order to join: by version 1's ``tasks`` a process of one thread joins without
        the lock that stops every fork and exit of the machine, and that takes up to 20 ms to get.
        """
        return "tasks" if self.version == 1 else "cgroup.procs"

    def settings(self, limits: Limits) -> dict[str, dict[str, str]]:
        """What to write for these limits: controller to file to content. A limit to more processors than there are is
        left out.
        """
        pids = {"pids.max": str(limits.processes)}
        quota = int(limits.cpus * _PERIOD)
        if self.version == 1:
            memory = {
                "memory.limit_in_bytes": str(limits.memory_bytes),
                "memory.memsw.limit_in_bytes": str(limits.memory_bytes),
            }
            cpu = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota)}
        else:
            memory = {"memory.max": str(limits.memory_bytes), "memory.swap.max": "0"}
            cpu = {"cpu.max": f"{quota} {_PERIOD}"}
        is_limited = "cpu" in self.folders and limits.cpus < (os.cpu_count() or 1)
        return {"memory": memory, "pids": pids, **({"cpu": cpu} if is_limited else {})}


_OPTIONAL = ("memory.memsw.limit_in_bytes", "memory.swap.max")
"""Files that a kernel without accounting of swap does not have."""


class Group:
    """The control group of one sandbox."""

    def __init__(self, hierarchy: Hierarchy, name: str, limits: Limits) -> None:
        settings = hierarchy.settings(limits)
        self._oom_file = hierarchy.folders["memory"] / name / hierarchy.oom_file
        self._pids_file = hierarchy.folders["pids"] / name / "pids.events"
        self._join_file = hierarchy.join_file
        self._folders = {hierarchy.folders[controller] / name for controller in settings}
        try:
            for folder in self._folders:
                folder.mkdir(exist_ok=True)
            for controller, files in settings.items():
                for file, content in files.items():
                    path = hierarchy.folders[controller] / name / file
                    with contextlib.suppress(*([OSError] if file in _OPTIONAL else [])):
                        path.write_text(content)
        except OSError:
            self.remove()
            raise

    def join_files(self) -> list[str]:
        """The files that a process of one thread writes 0 to in order to join, with all that it will start."""
        return [str(folder / self._join_file) for folder in sorted(self._folders)]

    def kills_for_memory(self) -> int:
        """How many processes the kernel has killed because the memory limit was reached."""
        return read_memory_kills(self._oom_file)

    def refused_processes(self) -> int:
        """How many processes and threads could not start at the limit."""
        return read_refusals(self._pids_file)

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
    return _read_count(oom_file, "oom_kill")


def read_refusals(pids_file: Path) -> int:
    """The kernel's count of processes and threads refused at a group's limit, from ``pids.events``."""
    return _read_count(pids_file, "max")


def _read_count(file: Path, wanted: str) -> int:
    for line in file.read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == wanted:
            return int(count)
    return 0


def oom_file_of(pid: int) -> Path | None:
    """The file for ``read_memory_kills`` of the group that a process is in, or None where it is not to be seen."""
    return _file_of(pid, "memory", "memory.oom_control", "memory.events")


def pids_file_of(pid: int) -> Path | None:
    """The file for ``read_refusals``, likewise."""
    return _file_of(pid, "pids", "pids.events", "pids.events")


def _file_of(pid: int, controller: str, version_1: str, version_2: str) -> Path | None:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for _, controllers, path in sorted((line.split(":", 2) for line in lines), reverse=True):  # version 1 first
        base, name = (ROOT, version_2) if not controllers else (ROOT / controller, version_1)
        found = base / path.lstrip("/") / name
        if controllers in ("", controller) and found.is_file():
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


def controls_cpu() -> bool:
    """Whether groups here limit processor time."""
    hierarchy = _hierarchy()
    return hierarchy is not None and "cpu" in hierarchy.folders


@cache
def _hierarchy() -> Hierarchy | None:
    with contextlib.suppress(OSError):
        if not (ROOT / "cgroup.controllers").is_file():
            return version_1(ROOT)
        own = Path("/proc/self/cgroup").read_text().partition("0::")[2].splitlines()[0]
        return version_2(ROOT, own)
    return None


def version_1(root: Path) -> Hierarchy:
    """The hierarchies of version 1.

    Raises:
        OSError: this process may not make groups for memory and processes.
    """
    folders = {controller: root / controller / FOLDER for controller in ("memory", "pids")}
    for folder in folders.values():
        _make_ours(folder)
    with contextlib.suppress(OSError):
        _make_ours(root / "cpu" / FOLDER)
        folders["cpu"] = root / "cpu" / FOLDER
    return Hierarchy(1, folders)


def _make_ours(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} is another user's")


def version_2(root: Path, own: str) -> Hierarchy | None:
    """The hierarchy of version 2, below the topmost group that lets this process hand memory and processes out, and
    move a process of its own there; None where there is none.

    A group other than the root hands out nothing while processes are in it (cgroup-v2.rst, "No Internal Process
    Constraint"), so this process's own group serves only where it is the root; one above it may.

    Args:
        own: path of this process's group, as in /proc/self/cgroup.
    """
    here = root / own.strip("/")
    above = [parent for parent in here.parents if parent.is_relative_to(root)]
    for parent in [*reversed(above), here]:
        with contextlib.suppress(OSError):
            # A move needs the right to write to the nearest group that holds both ("Delegation Containment").
            if os.access(parent / "cgroup.procs", os.W_OK):
                return _hand_out(parent)
    return None


def _hand_out(parent: Path) -> Hierarchy:
    offered = set((parent / "cgroup.controllers").read_text().split())
    if not {"memory", "pids"} <= offered:
        raise FileNotFoundError("memory and pids are not to be had here")
    wanted = sorted({"memory", "pids", "cpu"} & offered)
    folder = parent / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        for giver in (parent, folder):
            missing = set(wanted) - set((giver / "cgroup.subtree_control").read_text().split())
            if missing:
                (giver / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(missing)))
    except OSError:
        folder.rmdir()
        raise
    return Hierarchy(2, dict.fromkeys(wanted, folder))
