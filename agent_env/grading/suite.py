"""Run tests of a build, in a state given as edits, in a fresh sandbox without network."""

import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence

from agent_env.grading.bytecode import PLAIN_ASSERTIONS, bytecode_mounts, ensure_bytecode, plugin_arguments
from agent_env.grading.outcomes import SuiteRun, TestOutcome, TestStatus
from agent_env.grading.supervised import RUNNER_DIR, Said, run_supervised
from agent_env.sandbox.base import WORK_DIR, SandboxBackend
from agent_env.store import Build
from tasks.record import digest_json
from tasks.tree import Edits

_FIXED_ARGUMENTS = (
    *("-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors", "-q", "--no-header"),
    *("--no-summary", f"--rootdir={WORK_DIR}", f"--confcutdir={WORK_DIR}"),
)

_EXPLAINING = ("--tb=long",)
_PLAIN = (*PLAIN_ASSERTIONS, "--tb=no")


def run_suite(
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    *,
    ids: Sequence[str] | None,
    order_seed: int | None,
    timeout: float,
    also: Sequence[str] = (),
    explain: bool = False,
    changed: Collection[str] | None = None,
) -> SuiteRun:
    """Run tests once.

    Args:
        edits: the state to test, over the environment's tree.
        ids: the tests to run, by pytest node id; None runs the whole suite.
        order_seed: shuffles files and the tests in each; None keeps pytest's order.
        timeout: seconds for the run.
        also: further test files to collect (sentinels); their ids must be among ``ids``.
        explain: have pytest tell what each side of a failing assertion was, and where. It rewrites the assertions of
            every file for that, which takes longer than most tests; statuses are the same without.
        changed: the files that the task's start state changes, as for ``bytecode_mounts``.

    Raises:
        SandboxError: the sandbox did not start or broke; never for what the tests do.
    """
    environment = build.environment
    paths = [*environment.test_paths, *also] if ids is None else _files(ids)
    request = {
        "arguments": [
            *_FIXED_ARGUMENTS,
            *(_EXPLAINING if explain else _PLAIN),
            *plugin_arguments(environment),
            *paths,
        ],
        "ids": None if ids is None else list(ids),
        "order_seed": order_seed,
    }
    ensure_bytecode(backend, build)
    mounts = bytecode_mounts(build, changed, tests=True)
    said = run_supervised(
        backend,
        build,
        edits,
        child="child.py",
        request=request,
        mounts=mounts,
        timeout=timeout,
    )
    return _read_report(said)._replace(rewritten=said.rewritten)


def runner_digest() -> str:
    """Digest of the runner's code and fixed arguments, for certificates."""
    arguments = [*_FIXED_ARGUMENTS, *_EXPLAINING, *_PLAIN]
    return digest_json([*arguments, *(path.read_text() for path in sorted(RUNNER_DIR.glob("*.py")))])


def _files(ids: Iterable[str]) -> list[str]:
    """The files that hold these tests, each once, in order."""
    return list(dict.fromkeys(test_id.partition("::")[0] for test_id in ids))


def _read_report(said: Said) -> SuiteRun:
    if said.lines is None:
        why = f"stopped: {said.stopped.value}" if said.stopped else "the test runner was ended before it could report"
        return SuiteRun({}, {}, said.stopped, why, said.seconds)
    outcomes: dict[str, TestOutcome] = {}
    collect_errors: dict[str, str] = {}
    for entry in _entries(said.lines):
        test_id, status, taken, detail = entry
        if status == "collect_error":
            collect_errors[test_id] = detail
        elif test_id not in outcomes or outcomes[test_id].status is TestStatus.PASSED:
            outcomes[test_id] = TestOutcome(test_id, TestStatus(status), taken, detail)
    error = "" if outcomes or collect_errors else f"no test was reported (status {said.status}): {said.output}"
    return SuiteRun(outcomes, collect_errors, said.stopped, error, said.seconds, said.status)


def _entries(lines: Iterable[str]) -> Iterator[tuple[str, str, float, str]]:
    """The well-formed lines; the code under test can write others, which count for nothing."""
    known = {status.value for status in TestStatus} | {"collect_error"}
    for line in lines:
        try:
            test_id, status, seconds, detail = json.loads(line)
            taken = float(seconds)
        except (ValueError, TypeError, OverflowError, RecursionError):
            continue
        texts = isinstance(test_id, str) and isinstance(status, str) and isinstance(detail, str)
        if texts and status in known and math.isfinite(taken):
            yield test_id, status, taken, detail
