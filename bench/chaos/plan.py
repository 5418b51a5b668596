"""The course of each episode, a function of its number alone."""

import random
from dataclasses import dataclass

from bench.chaos.policy_faults import POLICY_FAULTS

KILLED = "host kills the sandbox"
KILLED_GRADING = "host kills the grading"
BROKEN = "disk error in the sandbox"
BROKEN_GRADING = "disk error in the grading's sandbox"
BROKEN_START = "disk error at the start"
BROKEN_HOST = "disk error as the host grades"
BROKEN_END = "disk error at the trajectory's end"
LOST = "trajectory folder lost"

MACHINE_FAULTS = (KILLED, KILLED_GRADING, BROKEN, BROKEN_GRADING, BROKEN_START, BROKEN_HOST, BROKEN_END, LOST)

GRADED = frozenset({KILLED_GRADING, BROKEN_GRADING, BROKEN_HOST, BROKEN_END})
"""Those that strike at the end of an episode that was submitted."""

MACHINE_SHARE = 0.35
"""Of the episodes, so many meet a failure of the machine; the others a policy's fault."""


@dataclass(frozen=True)
class Plan:
    """One episode's course."""

    number: int
    fault: str
    solve: bool
    """Whether the episode is solved and submitted afterwards, by the oracle's turns."""
    submit: bool
    """Whether it is submitted; else it is closed, or left to its limit of steps."""
    when: float
    """From 0 to 1: when in the time it has a failure of the machine strikes, or at which of the calls."""
    second: bool
    """Of two sandboxes that grade, the second is struck, which computes the probes."""
    whole: bool
    """All processes are killed, or all calls fail from then on; else one."""

    @property
    def by_machine(self) -> bool:
        """Whether the machine fails, and not the policy."""
        return self.fault in MACHINE_FAULTS


def plan(number: int, seed: int) -> Plan:
    """The course of episode ``number``."""
    rng = random.Random(f"{seed} {number}")
    fault = rng.choice(MACHINE_FAULTS if rng.random() < MACHINE_SHARE else [*POLICY_FAULTS])
    often = fault in MACHINE_FAULTS
    second = rng.random() < 0.4
    submit = fault in GRADED or rng.random() < (0.5 if often else 0.15)
    solve = submit and rng.random() < 0.6
    if fault in (KILLED_GRADING, BROKEN_GRADING):
        solve = solve or second  # only what passes is probed
    return Plan(number, fault, solve, submit, rng.random(), second, rng.random() < 0.5)
