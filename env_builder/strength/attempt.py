"""An attempt at a task that is made to be graded: a wrong fix, or the solution in other words."""

from enum import StrEnum
from typing import NamedTuple

from tasks.tree import Edits


class Kind(StrEnum):
    """How an attempt came about."""

    MUTANT = "mutant"
    """The solution with one small bug in a function that the gold patch touches."""
    PARTIAL = "partial"
    """The gold patch less one of its hunks or files."""
    TRIVIAL = "trivial"
    """A touched function gives nothing, gives its first argument back, or raises."""
    REWRITTEN = "rewritten"
    """The solution in other words: it must pass."""


WRONG = (Kind.MUTANT, Kind.PARTIAL, Kind.TRIVIAL)
"""Kinds that should earn nothing."""


class Attempt(NamedTuple):
    """One state to be graded."""

    kind: Kind
    how: str
    """What was done to the solution: a modifier's name, or words."""
    target: str
    """Where: ``path:qualname`` or ``path``; empty where it is everywhere."""
    files: Edits
    """The files that the gold patch changes, as they are in this attempt."""
