"""The reward of one attempt, computed by the host.

The agent's sandbox is stopped before this is called, and only source files cross. Trusted tests are laid over them,
the run takes place in a fresh sandbox, exactly the expected tests must each pass, and sentinel tests with random names,
some that must pass and some that must fail, show that the tests' process reported what happened; they stand inside a
hidden test file, and some are hidden tests with a wrong expected value (``blockers/sentinels.py``). An attempt that
passes all this is checked once more where the task has an oracle: what the tests compare is computed again, in a
sandbox that holds no tests, and the host compares it (``probes.py``).
"""

from typing import Literal, NamedTuple

from agent_env.grading.outcomes import SuiteRun, TestStatus
from agent_env.grading.probes import OracleRun, check_oracle
from agent_env.grading.states import attempt_edits, graded_edits, start_edits
from agent_env.grading.suite import run_suite
from agent_env.sandbox.base import SandboxBackend, StopCause
from agent_env.store import Build
from blockers.crossing import LeftOut, crossing
from blockers.sentinels import Sentinels, make_sentinels
from tasks.patch import reader
from tasks.task import Task
from tasks.tree import Edits, list_files

LEAST_SECONDS = 60.0
"""Shortest timeout of a grading run."""

SLACK = 20.0
"""A grading run may take this many times as long as the slowest run of the task's certificate: a machine under load."""


_TESTS_FAILED = 1
"""pytest's exit status where some test failed, as sentinels do in each run: any other is no orderly end."""


class Grade(NamedTuple):
    """What an attempt earned, and why."""

    reward: Literal[0, 1]
    reason: str
    """A short word: ``passed``, ``tests_failed``, ``tests_missing``, ``tampered``, ``sentinel``, ``oracle``,
    ``no_result`` or a stop cause. ``sentinel`` and ``oracle`` mean that what the tests' process reported is not what
    happened; ``tampered``, that tests, their data or configuration were written while they were in use."""
    passed: int
    """How many of the expected tests passed."""
    left_out: tuple[LeftOut, ...]
    """What the agent changed that did not cross, and why."""
    run: SuiteRun
    oracle: OracleRun | None = None
    """What the oracle said; None where the task has none, and where the tests alone speak against the attempt."""


def grade(
    task: Task,
    changes: Edits,
    build: Build,
    backend: SandboxBackend,
    *,
    order_seed: int | None = None,
    timeout: float | None = None,
) -> Grade:
    """Grade the changed files of an attempt.

    Args:
        changes: what the agent changed over the start state, as ``Sandbox.changes`` gives it.
        timeout: seconds that the run may take; None for many times what the task's certificate took.

    Raises:
        SandboxError: the machine failed; there is no reward then.
    """
    crossed = crossing(changes, existing=list_files(build.tree))
    edits = graded_edits(task, build.tree, crossed.files)
    sentinels = make_sentinels(like=task.fail_to_pass, hidden_files=_hidden_files(task, build, edits))
    edits[sentinels.path] = sentinels.content
    expected = [*task.fail_to_pass, *task.pass_to_pass]
    ids = [*expected, *sentinels.must_pass, *sentinels.must_fail, *sentinels.mirrors]
    changed = start_edits(task, build.tree).keys()
    limit = grading_seconds(task)
    run = run_suite(backend, build, edits, ids=ids, order_seed=order_seed, timeout=timeout or limit, changed=changed)
    passed = run.passed()
    reason = _judge(run, set(expected), sentinels)
    oracle = None
    if reason == "passed" and task.oracle:
        attempt = attempt_edits(task, build.tree, crossed.files)
        oracle = check_oracle(task.oracle, backend, build, attempt, timeout=limit, changed=changed)
        reason = _judge_oracle(oracle)
    return Grade(1 if reason == "passed" else 0, reason, len(passed & set(expected)), crossed.left_out, run, oracle)


def grading_seconds(task: Task) -> float:
    """Seconds that a grading run may take; one that takes longer is the policy's doing."""
    return max(LEAST_SECONDS, SLACK * max((run.seconds for run in task.certificate.gold_runs), default=0.0))


def _hidden_files(task: Task, build: Build, edits: Edits) -> dict[str, bytes | None]:
    """The files of the fail-to-pass tests, as they are laid."""
    read = reader(build.tree, edits)
    return {path: read(path) for path in dict.fromkeys(test.partition("::")[0] for test in task.fail_to_pass)}


def _judge_oracle(oracle: OracleRun) -> str:
    """The same of what the oracle found."""
    if oracle.run.rewritten:
        return "tampered"
    if oracle.unmet:
        return "oracle"
    return "sentinel" if oracle.sentinel else "passed"


def _judge(run: SuiteRun, expected: set[str], sentinels: Sentinels) -> str:
    """``passed``, or the first thing that speaks against it."""
    if run.stopped is not None:
        return run.stopped.value if run.stopped is not StopCause.SHELL_DIED else "no_result"
    if run.error:
        return "no_result"
    if run.rewritten:
        return "tampered"
    if sentinels.path in run.collect_errors:
        return "tests_missing"  # the file that the sentinels share with hidden tests cannot be imported
    passed = run.passed()
    failed = {test_id for test_id, outcome in run.outcomes.items() if outcome.status is TestStatus.FAILED}
    if not {mirror for mirror, original in sentinels.mirrors.items() if original in passed} <= failed:
        return "sentinel"
    if not set(sentinels.must_pass) <= passed or not set(sentinels.must_fail) <= failed:
        return "sentinel"
    if expected - set(run.outcomes):
        return "tests_missing"
    if not expected <= passed:
        return "tests_failed"
    return "passed" if run.status == _TESTS_FAILED else "no_result"
