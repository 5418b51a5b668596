"""Whether a candidate is a task: run, not guessed.

Two states are run, each ``RUNS`` times in fresh sandboxes, without network, in shuffled order: the start (the broken
source under the hidden tests) and the solution (the mended source under the same tests). Fail-to-pass are the tests
that never pass in the start and always in the solution; pass-to-pass those that always pass in both. A test that
changes its mind between runs of one state is left out and named. The states that run are those that the grader will
compose from the task's patches: their digests are compared. The solution of a planted bug is the environment's
untouched tree, the same for all of them: its runs are made once and shared (``env_builder/untouched.py``). What can be
checked without the tests' process comes last (``env_builder/oracle.py``).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agent_env.grading import SuiteRun, TestOutcome, TestStatus, run_suite
from agent_env.grading.states import gold_edits, graded_edits
from agent_env.grading.suite import runner_digest
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.errors import PatchRefusedError
from env_builder.candidate import Candidate
from env_builder.draft import DraftPatches, draft_patches
from env_builder.errors import StatementRefusedError
from env_builder.oracle import OracleMaker
from env_builder.untouched import SeededRun, UntouchedRuns, order_seed
from tasks.certificate import Certificate, RunEvidence
from tasks.errors import PatchError
from tasks.record import digest_json
from tasks.task import Statement, Task
from tasks.tree import Edits, tree_digest

RUNS = 3
"""Runs of each state."""

MOST_FAILING = 0.5
"""Largest share of a suite that a candidate may break: beyond it the bug is in the import of the project, not in it."""


@dataclass(frozen=True)
class Validated:
    """The candidate is a task."""

    task: Task
    seconds: float


@dataclass(frozen=True)
class Rejected:
    """The candidate is no task; ``reason`` is a fixed word, ``detail`` says what was seen."""

    reason: str
    detail: str
    seconds: float


class Bench(NamedTuple):
    """What every candidate of one environment shares."""

    build: Build
    backend: SandboxBackend
    baseline: frozenset[str]
    """Tests that pass on the environment's untouched tree."""
    timeout: float
    """Seconds that one run may take."""
    untouched: UntouchedRuns
    oracles: OracleMaker
    write: Callable[["Draft"], Statement]
    """Writes the problem statement. Raises ``StatementRefusedError`` where it cannot be written without a leak."""
    audit: Callable[["Draft", Statement], Sequence[str]]
    """Searches for leaks; what it finds, in words."""
    allow_weak_oracle: bool = False
    """Whether a task may do without an oracle that tells its start from its solution."""


class Draft(NamedTuple):
    """A candidate whose runs came out right."""

    candidate: Candidate
    patches: DraftPatches
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    failures: tuple[TestOutcome, ...]
    """What the fail-to-pass tests showed in the start state."""


class RejectedError(Exception):
    """Ends a validation; never leaves this module's ``validate``."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def validate(candidate: Candidate, bench: Bench) -> Validated | Rejected:
    """Run a candidate and make a certified task of it, or say why not.

    Raises:
        SandboxError: the machine failed; nothing is known about the candidate then.
    """
    begun = time.monotonic()
    try:
        task = _validate(candidate, bench)
    except RejectedError as error:
        return Rejected(error.reason, error.detail, time.monotonic() - begun)
    except StatementRefusedError as error:
        return Rejected(error.reason, str(error), time.monotonic() - begun)
    except (PatchError, PatchRefusedError) as error:
        return Rejected("patch", str(error), time.monotonic() - begun)
    return Validated(task, time.monotonic() - begun)


def _validate(candidate: Candidate, bench: Bench) -> Task:
    runs = _Runs(candidate, bench)
    runs.run("start")
    _require_failing(candidate, runs.start[0].run, bench)
    runs.run("gold")
    runs.settle()
    for state in ("start", "gold"):
        for _ in range(RUNS - 1):
            runs.run(state)
            runs.settle()
    draft = Draft(
        candidate,
        draft_patches(candidate, bench.build.tree, runs.fail_to_pass),
        tuple(sorted(runs.fail_to_pass)),
        tuple(sorted(runs.pass_to_pass)),
        _failures(runs),
    )
    statement = bench.write(draft)
    findings = bench.audit(draft, statement)
    if findings:
        raise RejectedError("leak", "\n".join(findings))
    task = _certify(draft, runs, statement, bench)
    task = task.model_copy(update={"oracle": bench.oracles.make(task)})
    if not (bench.allow_weak_oracle or (task.oracle and task.oracle.discriminating)):
        raise RejectedError("weak_oracle", "no value that only the host knows tells the start from the solution")
    return task


class _Runs:
    """The runs of one candidate so far, and which tests they leave."""

    def __init__(self, candidate: Candidate, bench: Bench) -> None:
        self._candidate = candidate
        self._bench = bench
        self.start: list[SeededRun] = []
        self.gold: list[SeededRun] = []
        self.fail_to_pass: set[str] = set()
        self.pass_to_pass: set[str] = set()
        self.flaky: set[str] = set()

    def run(self, state: Literal["start", "gold"]) -> None:
        """Run a state once more: the whole suite the first time, then the tests that matter."""
        done = self.start if state == "start" else self.gold
        edits = self._candidate.broken if state == "start" else self._candidate.gold
        edits = {**edits, **self._candidate.tests}
        made = self._run(edits, state, len(done)) if edits else self._bench.untouched.get(len(done))
        if made.run.stopped:
            raise RejectedError(made.run.stopped.value, f"the {state} state, run {len(done) + 1}: {made.run.error}")
        if made.run.error and state == "gold":
            raise RejectedError("gold_crashes", made.run.error)
        if made.run.rewritten and state == "gold":
            raise RejectedError("tests_rewrite_files", ", ".join(made.run.rewritten))
        done.append(made)

    def _run(self, edits: Edits, state: str, number: int) -> SeededRun:
        seed = order_seed(self._candidate.id, state, number)
        run = run_suite(
            self._bench.backend,
            self._bench.build,
            edits,
            ids=sorted(self.fail_to_pass | self.pass_to_pass) or None,
            order_seed=seed,
            timeout=self._bench.timeout,
            explain=state == "start" and number == 0,  # the statement is made of what failed there
        )
        return SeededRun(seed, run)

    def settle(self) -> None:
        """Sort the tests by what all runs show; what was settled otherwise by earlier runs is flaky."""
        always = set.intersection(*(made.run.passed() for made in self.gold))
        ever = set.union(*(made.run.passed() for made in self.start))
        every = set.intersection(*(made.run.passed() for made in self.start))
        if len(self.start) == len(self.gold) == 1:
            self.fail_to_pass, self.pass_to_pass = always - ever, always & every
        else:
            kept = (self.fail_to_pass & always) - ever, self.pass_to_pass & always & every
            self.flaky |= (self.fail_to_pass - kept[0]) | (self.pass_to_pass - kept[1])
            self.fail_to_pass, self.pass_to_pass = kept
        if len(self.fail_to_pass) > MOST_FAILING * len(self.fail_to_pass | self.pass_to_pass):
            raise RejectedError("breaks_everything", f"{len(self.fail_to_pass)} tests fail at the start")
        if not self.fail_to_pass:
            raise RejectedError("flaky" if self.flaky else "no_fail_to_pass", ", ".join(sorted(self.flaky)))

    def evidence(self, runs: list[SeededRun]) -> tuple[RunEvidence, ...]:
        """The runs as the certificate holds them."""
        expected = self.fail_to_pass | self.pass_to_pass
        return tuple(
            RunEvidence(
                order_seed=seed,
                reward=1 if expected <= run.passed() else 0,
                passed=len(expected & run.passed()),
                seconds=round(run.seconds, 3),
            )
            for seed, run in runs
        )


def _require_failing(candidate: Candidate, run: SuiteRun, bench: Bench) -> None:
    """A bug that was put in must break a test that passed, and must not break the import of the whole project."""
    if candidate.tests:
        return
    broken = bench.baseline - run.passed()
    if not broken:
        raise RejectedError("no_failing_test", "every test that passes on the untouched tree passes with the change")
    if len(broken) > MOST_FAILING * len(bench.baseline):
        raise RejectedError("breaks_everything", f"{len(broken)} of {len(bench.baseline)} tests fail")


def _failures(runs: _Runs) -> tuple[TestOutcome, ...]:
    """What the start state showed for the fail-to-pass tests; a file that could not be collected counts as one."""
    first = runs.start[0].run
    shown = [first.outcomes[test_id] for test_id in sorted(runs.fail_to_pass) if test_id in first.outcomes]
    files = {test_id.partition("::")[0] for test_id in runs.fail_to_pass}
    errors = [(path, text) for path, text in first.collect_errors.items() if path in files]
    return (*shown, *(TestOutcome(path, TestStatus.ERROR, 0.0, text) for path, text in errors))


def _certify(draft: Draft, runs: _Runs, statement: Statement, bench: Bench) -> Task:
    environment = bench.build.environment
    certificate = Certificate(
        start_runs=runs.evidence(runs.start),
        gold_runs=runs.evidence(runs.gold),
        flaky=tuple(sorted(runs.flaky)),
        sandbox=bench.backend.name,
        digests={},
    )
    task = Task(
        id=draft.candidate.id,
        repo=environment.repo,
        commit=environment.commit,
        licence=environment.licence,
        environment_id=environment.id,
        strategy=draft.candidate.strategy,
        setup_patch=draft.patches.setup,
        gold_patch=draft.patches.gold,
        test_patch=draft.patches.tests,
        fail_to_pass=draft.fail_to_pass,
        pass_to_pass=draft.pass_to_pass,
        test_command=" ".join(["python -m pytest -q", *environment.test_paths]),
        statement=statement,
        certificate=certificate,
    )
    digests = _digests(task, draft.candidate, bench.build)
    return task.model_copy(update={"certificate": certificate.model_copy(update={"digests": digests})})


def _digests(task: Task, candidate: Candidate, build: Build) -> dict[str, str]:
    """Digests of what was run, which must be what the grader composes from the task's patches.

    Raises:
        RejectedError: the patches do not lead to the states that were run.
    """
    found = {
        "start_tree": tree_digest(build.tree, {**candidate.broken, **candidate.tests}),
        "gold_tree": tree_digest(build.tree, {**candidate.gold, **candidate.tests}),
    }
    composed = {
        "start_tree": tree_digest(build.tree, graded_edits(task, build.tree, {})),
        "gold_tree": tree_digest(build.tree, graded_edits(task, build.tree, gold_edits(task, build.tree))),
    }
    for name, digest in found.items():
        if composed[name] != digest:
            raise RejectedError("patch", f"the task's patches do not lead to the {name} that was run")
    return {
        **found,
        "environment": build.environment.digest(),
        "tests": digest_json([task.fail_to_pass, task.pass_to_pass, task.test_patch]),
        "runner": runner_digest(),
    }
