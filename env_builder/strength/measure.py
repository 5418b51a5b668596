"""Grades wrong fixes and rewritten solutions of tasks as an agent's work is graded, and reports what they earned."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent_env.grading.grade import Grade, grade, grading_seconds
from agent_env.workbench import Workbench
from env_builder.fanout import fan_out
from env_builder.progress import Progress, Silent
from env_builder.stoppable import StoppableBackend
from env_builder.strength.attempt import WRONG, Attempt, Kind
from env_builder.strength.attempts import make_attempts
from env_builder.strength.report import GradedAttempt, StrengthReport, TaskStrength
from env_builder.strength.solution import Solution, read_solution
from tasks.errors import BadInputError
from tasks.patch import make_patch
from tasks.task import Task

STAGE = "grade attempts"

HANGING = 0.25
"""Of the time that a grading may take: after that a wrong fix is held to hang, as broken loops often do."""


@dataclass(frozen=True, kw_only=True)
class StrengthOptions:
    """How a measurement goes about it."""

    most: int = 8
    """Wrong fixes of each kind and task, at most."""
    seed: int = 0
    """Chooses them."""
    workers: int = 2
    """Attempts graded at once."""


_NO_FUNCTION = "the gold patch touches no Python function"
_NO_SITE = "no kind of bug fits the functions that the gold patch touches"


class _Planned(NamedTuple):
    """An attempt, and what its grading needs."""

    at: int
    """Index of its task."""
    number: int
    """Of the attempt, among its task's."""
    attempt: Attempt
    solution: Solution


def measure_strength(
    bench: Workbench,
    tasks: Sequence[Task],
    *,
    options: StrengthOptions | None = None,
    progress: Progress | None = None,
) -> StrengthReport:
    """Measure how strong the tests of tasks are.

    Raises:
        BadInputError: there is no task, one is an impossible twin, or none has a solution with a Python function in it.
        SandboxError: the machine failed.
    """
    return _Measurement(bench, tasks, options or StrengthOptions(), progress or Silent()).run()


class _Measurement:
    """One measurement under way."""

    def __init__(self, bench: Workbench, tasks: Sequence[Task], options: StrengthOptions, progress: Progress) -> None:
        self._bench = bench
        self._backend = StoppableBackend(bench.store.backend)
        self._tasks = tasks
        self._options = options
        self._progress = progress
        self._without = [""] * len(tasks)
        """Why a task has no mutants, where it has none."""

    def run(self) -> StrengthReport:
        begun = time.monotonic()
        self._check()
        graded: list[dict[int, GradedAttempt]] = [{} for _ in self._tasks]
        self._progress.started(STAGE, None)
        survivors = 0
        try:
            for planned, result in fan_out(
                self._plan(), self._grade, workers=self._options.workers, give_up=self._backend.give_up
            ):
                graded[planned.at][planned.number] = result
                survivors += result.survived
                note = f"task {planned.at + 1} of {len(self._tasks)}, {survivors} survivors"
                self._progress.advanced(STAGE, note)
        finally:
            self._progress.finished(STAGE)
        found = zip(self._tasks, graded, self._without, strict=True)
        return StrengthReport(
            tasks=tuple(
                TaskStrength(task=task.id, attempts=tuple(some[number] for number in sorted(some)), without_mutants=why)
                for task, some, why in found
            ),
            seconds=time.monotonic() - begun,
        )

    def _check(self) -> None:
        if not self._tasks:
            raise BadInputError(f"{self._bench.pool.path} holds no task to measure")
        for task in self._tasks:
            if task.twin_of:
                raise BadInputError(
                    f"{task.id} is an impossible twin, which no solution passes: give its original, {task.twin_of}"
                )
        if not any(read_solution(task, self._bench.build(task).tree).touched() for task in self._tasks):
            ids = ", ".join(task.id for task in self._tasks[:3])
            raise BadInputError(
                f"no gold patch touches a Python function, in {len(self._tasks)} tasks ({ids}): there is nothing to "
                "make mutants of; give other tasks"
            )

    def _plan(self) -> Iterator[_Planned]:
        """All attempts, each made when it is asked for."""
        most, seed = self._options.most, self._options.seed
        for at, task in enumerate(self._tasks):
            tree = self._bench.build(task).tree
            solution = read_solution(task, tree)
            touched = solution.touched()
            kinds = set()
            for number, attempt in enumerate(make_attempts(task, tree, solution, touched, most=most, seed=seed)):
                kinds.add(attempt.kind)
                yield _Planned(at, number, attempt, solution)
            if Kind.MUTANT not in kinds:
                self._without[at] = _NO_SITE if touched else _NO_FUNCTION

    def _grade(self, planned: _Planned) -> GradedAttempt:
        """Grade one attempt by what it changed over the start state."""
        attempt, solution, task = planned.attempt, planned.solution, self._tasks[planned.at]
        changes = {path: content for path, content in attempt.files.items() if content != solution.start[path]}
        limit = grading_seconds(task) * (HANGING if attempt.kind in WRONG else 1)
        found = grade(task, changes, self._bench.build(task), self._backend, timeout=limit)
        odd = (found.reward == 1) == (attempt.kind in WRONG)
        return GradedAttempt(
            kind=attempt.kind,
            how=attempt.how,
            target=attempt.target,
            reward=found.reward,
            reason=found.reason,
            failed=_failed(task, found) if attempt.kind not in WRONG else (),
            diff=make_patch(solution.gold, attempt.files) if odd else "",
        )


def _failed(task: Task, found: Grade) -> tuple[str, ...]:
    """The expected tests that speak against an attempt."""
    passed = found.run.passed()
    tests = [test for test in (*task.fail_to_pass, *task.pass_to_pass) if test not in passed]
    return tuple([*tests, *(found.oracle.unmet if found.oracle else ())])
