"""What sandboxes and environments cost that do nothing: memory, descriptors and processes of each."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console
from rich.table import Table

_MIB = 1 << 20


class Closable(Protocol):
    """Whatever can be made and closed."""

    def close(self) -> None:
        """Give all back."""


Thing = TypeVar("Thing", bound=Closable)


def measure_idle(what: str, make: Callable[[], Thing], answers: Callable[[Thing], bool], count: int) -> None:
    """Make ``count`` of a thing, let them be, and print what each takes.

    The machine's share is what its free memory shrank by: processes, page tables, namespaces, mounts, and whatever
    else runs here meanwhile, so a quiet machine is needed for a true number.
    """
    made = [make()]  # what is there once is there before
    available, host, descriptors, processes = _available(), _host(), _descriptors(), _processes()
    begun = time.perf_counter()
    try:
        for _ in range(count):
            made.append(make())
        seconds = time.perf_counter() - begun
        rows = {
            "memory of the machine, MiB": (available - _available()) / count / _MIB,
            "of that the host process, MiB": (_host() - host) / count / _MIB,
            "descriptors of the host process": (_descriptors() - descriptors) / count,
            "processes": (_processes() - processes) / count,
            "start, ms": seconds / count * 1000,
        }
        alive = sum(map(answers, made))
    finally:
        begun = time.perf_counter()
        for one in made:
            one.close()
    rows["close, ms"] = (time.perf_counter() - begun) / len(made) * 1000
    table = Table(f"{count} idle {what}; {alive} of {len(made)} answer", "each")
    for name, value in rows.items():
        table.add_row(name, f"{value:.2f}")
    Console(width=140).print(table)


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) << 10


def _host() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _processes() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
