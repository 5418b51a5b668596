"""Progress of long work, told to whoever shows it."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One advance."""

    stage: str
    """``demonstrate``, ``warm start``, ``calibrate``, ``grpo``, ``evaluate``."""
    done: int
    total: int
    note: str = ""
    """What the last piece gave, for people."""


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Show nothing."""
    del progress
