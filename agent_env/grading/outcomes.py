"""What became of the tests of one run."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, NamedTuple

from agent_env.sandbox.base import StopCause


class TestStatus(Enum):
    """What became of one test. Only ``PASSED`` ever counts for a task."""

    __test__ = False

    PASSED = "passed"
    FAILED = "failed"
    """Its body failed."""
    ERROR = "error"
    """Its set-up or tear-down failed, or its file could not be collected."""
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"


@dataclass(frozen=True)
class TestOutcome:
    """What became of one test."""

    __test__: ClassVar[bool] = False

    id: str
    """pytest's node id."""
    status: TestStatus
    seconds: float
    detail: str
    """pytest's text of the failure (its last 8,000 characters), empty where there was none."""


class SuiteRun(NamedTuple):
    """One run of tests in one fresh sandbox."""

    outcomes: dict[str, TestOutcome]
    """By test id. A test that was reported twice counts with its worse status."""
    collect_errors: dict[str, str]
    """Files that could not be collected, with the text of the error."""
    stopped: StopCause | None
    """Why the run was ended, or None."""
    error: str
    """Why there is no result at all (the tests' process ended early), with the end of what it printed; else empty."""
    seconds: float
    """Wall time by the host's clock, start and end of the sandbox included."""
    status: int | None = None
    """pytest's exit status; negative where a signal ended it; None where there is no result, or it is not kept."""
    rewritten: tuple[str, ...] = ()
    """Tests, their data and configuration that were written while it ran, even if they were put back."""

    def passed(self) -> set[str]:
        """Ids of the tests that passed."""
        return {test_id for test_id, outcome in self.outcomes.items() if outcome.status is TestStatus.PASSED}
