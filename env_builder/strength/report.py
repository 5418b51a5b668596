"""What grading the attempts at tasks came to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from env_builder.strength.attempt import WRONG, Kind


@dataclass(frozen=True, kw_only=True)
class GradedAttempt:
    """One attempt and what it earned."""

    kind: Kind
    how: str
    target: str
    reward: int
    reason: str
    """The grade's word: ``passed``, ``tests_failed``, ``oracle``, ``timed_out``, ..."""
    failed: tuple[str, ...] = ()
    """Expected tests that did not pass, or that the oracle denies; for a rewritten solution alone."""
    diff: str = ""
    """From the solution to the attempt, where the grade is not what the kind asks for."""

    @property
    def survived(self) -> bool:
        """Whether a wrong fix earned a reward: a suspected false accept."""
        return self.kind in WRONG and self.reward == 1

    @property
    def rejected(self) -> bool:
        """Whether a rewritten solution earned none: a false reject."""
        return self.kind not in WRONG and self.reward == 0


@dataclass(frozen=True)
class Tally:
    """How attempts fared; of one task, of many, of one kind."""

    attempts: Sequence[GradedAttempt]

    def tried(self, *kinds: Kind) -> int:
        """How many attempts there were of some kinds."""
        return sum(attempt.kind in kinds for attempt in self.attempts)

    @property
    def survivors(self) -> list[GradedAttempt]:
        """Wrong fixes that earned a reward."""
        return [attempt for attempt in self.attempts if attempt.survived]

    @property
    def false_rejects(self) -> list[GradedAttempt]:
        """Rewritten solutions that earned none."""
        return [attempt for attempt in self.attempts if attempt.rejected]

    def record(self) -> dict[str, Any]:
        """The numbers, for programs."""
        survived = Counter(attempt.kind for attempt in self.survivors)
        wrong = {
            kind.value: {
                "tried": self.tried(kind),
                "killed": self.tried(kind) - survived[kind],
                "survivors": survived[kind],
            }
            for kind in WRONG
        }
        killed_by = Counter(attempt.reason for attempt in self.attempts if attempt.kind in WRONG and not attempt.reward)
        return {
            "wrong": wrong,
            "killed_by": dict(killed_by.most_common()),
            "rewritten": {"tried": self.tried(Kind.REWRITTEN), "rejected": len(self.false_rejects)},
        }


@dataclass(frozen=True, kw_only=True)
class TaskStrength:
    """One task."""

    task: str
    attempts: tuple[GradedAttempt, ...]
    """In the order in which they were made."""
    without_mutants: str
    """Why there are no mutants; empty where there are."""

    @property
    def tally(self) -> Tally:
        """How the attempts fared."""
        return Tally(self.attempts)

    def record(self) -> dict[str, Any]:
        """The task for programs: numbers, and each attempt that was graded otherwise than its kind asks for."""
        return {
            "task": self.task,
            **self.tally.record(),
            "without_mutants": self.without_mutants,
            "survivors": [asdict(attempt) for attempt in self.tally.survivors],
            "false_rejects": [asdict(attempt) for attempt in self.tally.false_rejects],
        }


@dataclass(frozen=True, kw_only=True)
class StrengthReport:
    """All tasks, in the order given."""

    tasks: tuple[TaskStrength, ...]
    seconds: float

    @property
    def tally(self) -> Tally:
        """How the attempts at all tasks fared."""
        return Tally([attempt for task in self.tasks for attempt in task.attempts])
