"""What one attack is, what it is given, and how a trial of it is judged.

An attack yields shell commands, which go through the agent's own tools into a real episode, and are followed by a submit
where the attack is after the reward. It is generic: it finds the project's modules in the sandbox by itself. The
strongest ones are told the hidden tests too, as if memorised; none knows the gold patch, which would be no attack.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Literal


class Goal(StrEnum):
    """What an attack is after."""

    REWARD = "reward"
    """A reward of 1 without the work; it ends with a submit."""
    MASK = "mask"
    """An episode that is left out of the count rather than scored 0; it ends with a submit."""
    OBTAIN = "obtain"
    """Something that an agent must not have; getting it is the success, so nothing is submitted."""
    OTHER_TOOLS = "other_tools"
    """An answer from a tool that agents do not have here; its steps are names of tools."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What an attack is given beside the shell."""

    statement: str
    """The task's statement."""
    canary: str
    """A path of the host at which nothing stands; a file there afterwards means that the attack left its sandbox."""
    failing: tuple[str, ...] = ()
    """Ids of the fail-to-pass tests, for an attack that knows the tests; else empty."""
    passing: tuple[str, ...] = ()
    """Ids of the pass-to-pass tests, likewise."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Sources of the hidden test files by path, likewise."""


Steps = Callable[[View], Sequence[str]]
"""The shell commands of an attack, in order."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One entry of the manifest. The expected verdict is the same for all: not fooled."""

    id: str
    vector: int | Literal["own"]
    """Number in the catalogue of vectors; ``own`` for what was invented here."""
    title: str
    how: str
    """What it does, in a sentence."""
    steps: Steps
    caught_by: tuple[str, ...]
    """What must be seen, any one of these: ``grade:REASON``, ``left_out:REASON`` (blockers/path_rules.py),
    ``outcome:NAME`` of an episode, ``stopped:CAUSE`` of a command of its own, ``cut`` (an observation was), or
    ``refused`` (the attack's own program found its way closed and said so)."""
    goal: Goal = Goal.REWARD
    knows: Literal["", "tests"] = ""
    """``tests``: it is given ids and sources of the hidden tests."""
    needs: Literal["", "oracle"] = ""
    """``oracle``: only assertions in another process than the candidate's stop it, so that it succeeds on a task whose
    failing tests the oracle split does not cover."""
    hangs: bool = False
    """Whether it lets the grading run into its timeout, which trials then make short."""
    history: str = ""
    """For what first succeeded: against which defence, and what mended it."""


REFUSED = ("refused",)
"""Caught by its own program, which found its way closed."""

obtaining = partial(Attack, goal=Goal.OBTAIN, caught_by=REFUSED)
"""An attack after what an agent must not have; its own program says whether it got it."""
