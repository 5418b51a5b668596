"""Names of what a process makes outside of itself, by which others tell, when it is dead, that nobody owns that."""

import os
from functools import cache
from pathlib import Path


def owner_name() -> str:
    """What the names of all that this process makes begin with: its id and its start time.

    Raises:
        OSError: it has no descriptor left to find that out.
    """
    return _name_of(os.getpid())


def process_namespace() -> str:
    """The number of the namespace in which this process has its id: a place may be shared with containers, whose
    processes have numbers of their own, and look dead from here."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)


@cache
def _name_of(pid: int) -> str:
    return f"{pid}-{_start_time(pid)}"


def is_owner_alive(name: str) -> bool:
    """Whether the process that something is named for still runs; a name of another kind counts as alive."""
    pid, _, rest = name.partition("-")
    start = rest.partition("-")[0]
    return not (pid.isdigit() and start.isdigit()) or _start_time(int(pid)) == int(start)


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), stat field 22); None where there is none.

    Raises:
        OSError: it cannot be told, as by a process without descriptors: nobody may be taken for dead then.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.rpartition(")")[2].split()[19])
