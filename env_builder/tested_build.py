"""A built environment whose suite has run once; kept, so that the same snapshot is not installed and tested again."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent_env.grading import SuiteRun, TestOutcome, TestStatus
from agent_env.store import Build, EnvironmentStore
from env_builder.cache import write_whole
from env_builder.snapshot import RepoSnapshot
from tasks.environment import Environment
from tasks.record import Record


@dataclass(frozen=True)
class TestedBuild:
    """A built environment and what its suite did on the untouched tree."""

    __test__ = False

    build: Build
    baseline: SuiteRun


class _Kept(Record):
    """What is written down of a tested build."""

    format_version: int = 1
    environment: Environment
    outcomes: dict[str, tuple[str, float]]
    """Status and seconds of each test, by its id."""
    collect_errors: dict[str, str]
    seconds: float


def remember(memory: Path, tested: TestedBuild) -> None:
    """Write a tested build down in the file ``memory``."""
    run = tested.baseline
    outcomes = {test_id: (outcome.status.value, outcome.seconds) for test_id, outcome in run.outcomes.items()}
    kept = _Kept(
        environment=tested.build.environment,
        outcomes=outcomes,
        collect_errors=run.collect_errors,
        seconds=run.seconds,
    )
    write_whole(memory, kept.model_dump_json().encode())


def recall(memory: Path, snapshot: RepoSnapshot, store: EnvironmentStore) -> TestedBuild | None:
    """The tested build of which ``memory`` tells, built again from its pins where it is gone; else None."""
    try:
        kept = _Kept.model_validate_json(memory.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    build = store.build(kept.environment, lambda target: _copy(snapshot.tree, target))
    outcomes = {
        test_id: TestOutcome(test_id, TestStatus(status), seconds, "")
        for test_id, (status, seconds) in kept.outcomes.items()
    }
    return TestedBuild(build, SuiteRun(outcomes, kept.collect_errors, None, "", kept.seconds))


def _copy(tree: Path, target: Path) -> None:
    shutil.copytree(tree, target, symlinks=True, dirs_exist_ok=True)
