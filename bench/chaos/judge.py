"""What of the episodes is wrong: faults that were scored, masked or blamed as they must not be, trajectories that were
lost, faults that never struck."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agent_env.trajectory import read_trajectory
from bench.chaos.plan import (
    BROKEN,
    BROKEN_END,
    BROKEN_GRADING,
    BROKEN_HOST,
    LOST,
    Plan,
)
from bench.chaos.policy_faults import HARMS_THE_WORK, USES_UP
from tasks.errors import BadInputError

MUST_MASK = frozenset({BROKEN, BROKEN_GRADING, LOST})
"""Failures of the machine that nothing makes good. After the others the host may go on: it repeats what was killed, and
can do without some calls; what it then says must be true."""

LOSES_THE_END = frozenset({BROKEN_HOST, BROKEN_END})
"""Failures after which a trajectory may lack its end, which then must not be a reward."""

ENOUGH = 20
"""A fault that was planned so often must have struck."""


class Told(NamedTuple):
    """What a worker said of an episode that ended."""

    ended: str
    reward: float
    masked: bool
    struck: bool
    cut: bool
    """Whether a signal interrupted it, or may have."""
    path: Path
    detail: str
    since: float


def read(told: dict[str, Any]) -> Told:
    """One line of a worker."""
    return Told(**{name: told[name] for name in Told._fields if name != "path"}, path=Path(told["path"]))


def wrong_scores(planned: Plan, told: Told, *, met_restart: bool) -> Iterator[str]:
    """What is wrong with how an episode ended.

    Args:
        met_restart: whether what the sandboxes need was restarted meanwhile.
    """
    if told.reward and (told.masked or not planned.solve):
        yield "a reward that nobody earned"
    can_pass = planned.solve and planned.fault not in HARMS_THE_WORK and not met_restart
    if told.ended == "Scored" and can_pass and not told.reward:
        yield "solved, and scored 0"
    if told.masked and not met_restart:
        if not planned.by_machine:
            yield "the policy's own fault is masked"
        elif not told.struck:
            yield "masked, though nothing had struck"
    if planned.fault in MUST_MASK and told.struck and not told.masked and not told.cut:
        yield "the machine failed, and it is not masked"
    if told.ended == "PolicyFault" and planned.fault not in USES_UP:
        yield "the policy is blamed for what it did not do"


def lost_trajectory(planned: Plan, path: Path, told: Told | None, *, begun: bool = True) -> str:
    """What is wrong with an episode's trajectory, if anything.

    Args:
        told: how it ended; None where its worker was killed before.
        begun: whether it got so far that its first state was written.
    """
    if planned.fault == LOST:
        return ""  # that is the fault: it must be told as one
    may_lose_the_end = told and told.masked and told.struck and planned.fault in LOSES_THE_END
    if may_lose_the_end and not begun and not path.exists():
        return ""  # interrupted as it started: the write that failed was the only one
    try:
        extra = read_trajectory(path).extra or {}
    except BadInputError as error:
        return str(error)
    found = (extra.get("outcome"), extra.get("reward"))
    if told is None or found == (told.ended, told.reward):
        return ""
    if may_lose_the_end and found == (None, None):
        return ""
    return f"the file says {found}, the episode {told.ended} {told.reward}"


class Strikes:
    """How often each fault was planned, in episodes that ended, and struck."""

    def __init__(self) -> None:
        self._planned: defaultdict[str, int] = defaultdict(int)
        self._struck: defaultdict[str, int] = defaultdict(int)
        self._masked: defaultdict[str, int] = defaultdict(int)

    def add(self, planned: Plan, told: Told) -> None:
        """Count one episode, unless it was cut before its fault's time had come."""
        if told.cut and not told.struck:
            return
        self._planned[planned.fault] += 1
        self._struck[planned.fault] += told.struck
        self._masked[planned.fault] += told.masked

    def table(self) -> str:
        """One line a fault."""
        lines = [f"{'fault':38} planned  struck  masked"]
        for fault, count in sorted(self._planned.items()):
            lines.append(f"{fault:38} {count:7} {self._struck[fault]:7} {self._masked[fault]:7}")
        return "\n".join(lines)

    def never(self) -> list[str]:
        """The faults that never struck, though often enough planned."""
        return [
            f"{fault}: planned {count} times, struck never"
            for fault, count in sorted(self._planned.items())
            if count >= ENOUGH and not self._struck[fault]
        ]
