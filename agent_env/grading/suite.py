"""Run tests of a build, in a state given as edits, in a fresh sandbox without network."""

import contextlib
import json
import math
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from agent_env.grading.bytecode import BYTECODE_DIR, ensure_bytecode, plugin_arguments
from agent_env.grading.outcomes import SuiteRun, TestOutcome, TestStatus
from agent_env.sandbox.base import VENV_DIR, WORK_DIR, CommandResult, Limits, Mount, SandboxBackend
from agent_env.sandbox.hostroot import HOME_DIR
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import new_residence, remove_residence, residence_base
from agent_env.store import Build
from tasks.record import digest_json
from tasks.tree import Edits

RUNNER_DIR = Path(str(files("agent_env.grading").joinpath("runner")))
_RUNNER = "/opt/repodojo"
_REQUEST, _SAID = f"{HOME_DIR}/.request", f"{HOME_DIR}/.said"

_LIMITS = Limits(output_bytes=64 << 20, processes=512)

_FIXED_ARGUMENTS = (
    *("-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors", "--tb=long", "-q", "--no-header"),
    *("--no-summary", f"--rootdir={WORK_DIR}", f"--confcutdir={WORK_DIR}"),
)


def run_suite(
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    *,
    ids: Sequence[str] | None,
    order_seed: int | None,
    timeout: float,
    also: Sequence[str] = (),
) -> SuiteRun:
    """Run tests once.

    Args:
        edits: the state to test, over the environment's tree.
        ids: the tests to run, by pytest node id; None runs the whole suite.
        order_seed: shuffles files and the tests in each; None keeps pytest's order.
        timeout: seconds for the run.
        also: further test files to collect (sentinels); their ids must be among ``ids``.

    Raises:
        SandboxError: the sandbox did not start or broke; never for what the tests do.
    """
    begun = time.monotonic()
    request = _request(build, ids, order_seed, also)
    ensure_bytecode(backend, build)
    mounts = (Mount(source=RUNNER_DIR, target=_RUNNER), Mount(source=build.bytecode, target=BYTECODE_DIR))
    with _laid(edits) as layer:
        sandbox = backend.create(build.spec(layer, limits=_LIMITS, mounts=mounts))
        try:
            sandbox.write(_REQUEST, json.dumps(request).encode())
            command = f"{VENV_DIR}/bin/python -I -S {_RUNNER}/supervisor.py {_REQUEST} {_RUNNER}/child.py {_SAID}"
            done = sandbox.run(command, timeout=timeout)
        finally:
            sandbox.close()
    return _read_report(done, str(request["secret"]), time.monotonic() - begun)


def runner_digest() -> str:
    """Digest of the runner's code and fixed arguments, for certificates."""
    return digest_json([*_FIXED_ARGUMENTS, *(path.read_text() for path in sorted(RUNNER_DIR.glob("*.py")))])


@contextlib.contextmanager
def _laid(edits: Edits) -> Iterator[Path]:
    """The edits as a layer of files, for as long as the context lasts."""
    folder = new_residence(residence_base())
    try:
        lay_edits(edits, folder)
        yield folder
    finally:
        remove_residence(folder)


def _request(build: Build, ids: Sequence[str] | None, order_seed: int | None, also: Sequence[str]) -> dict[str, object]:
    environment = build.environment
    paths = [*environment.test_paths, *also] if ids is None else _files(ids)
    variables = {
        "PATH": f"{VENV_DIR}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME_DIR,
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": VENV_DIR,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": BYTECODE_DIR,
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **build.spec().variables,
    }
    return {
        "secret": secrets.token_hex(16),
        "environment": variables,
        "arguments": [*_FIXED_ARGUMENTS, *plugin_arguments(environment), *paths],
        "ids": None if ids is None else list(ids),
        "order_seed": order_seed,
    }


def _files(ids: Iterable[str]) -> list[str]:
    """The files that hold these tests, each once, in order."""
    return list(dict.fromkeys(test_id.partition("::")[0] for test_id in ids))


def _read_report(done: CommandResult, secret: str, seconds: float) -> SuiteRun:
    line = next((line for line in reversed(done.output.splitlines()) if line.startswith(secret + " ")), None)
    if line is None:
        why = f"stopped: {done.stopped.value}" if done.stopped else "the test runner was ended before it could report"
        return SuiteRun({}, {}, done.stopped, why, seconds)
    try:
        report = json.loads(line.partition(" ")[2])
    except ValueError:  # its middle was cut out
        return SuiteRun({}, {}, done.stopped, "the tests' process reported more than is read", seconds)
    outcomes: dict[str, TestOutcome] = {}
    collect_errors: dict[str, str] = {}
    for entry in _entries(report["results"]):
        test_id, status, taken, detail = entry
        if status == "collect_error":
            collect_errors[test_id] = detail
        elif test_id not in outcomes or outcomes[test_id].status is TestStatus.PASSED:
            outcomes[test_id] = TestOutcome(test_id, TestStatus(status), taken, detail)
    error = "" if outcomes or collect_errors else f"no test was reported (status {report['status']}): {report['said']}"
    return SuiteRun(outcomes, collect_errors, done.stopped, error, seconds)


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
