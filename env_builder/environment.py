"""From a snapshot to a built environment whose test suite has run once, or to the reason why there is none."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from agent_env.errors import EnvironmentBuildError
from agent_env.grading import SuiteRun, TestOutcome, TestStatus, run_suite
from agent_env.grading.suite import runner_digest
from agent_env.sandbox.base import SandboxBackend, StopCause
from agent_env.store import EnvironmentStore, Installed, InstallRecipe
from env_builder.errors import UnusableRepoError
from env_builder.recipe import make_recipes
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.test_layout import TestLayout, read_test_layout
from env_builder.tested_build import TestedBuild, recall, remember
from tasks.environment import Environment
from tasks.home import home
from tasks.ledger import EnvironmentEntry
from tasks.record import digest_json
from tasks.tree import tree_digest

SUITE_SECONDS = 300.0
"""Longest run of a whole suite; one that takes longer counts as hanging."""

LEAST_SHARE = 0.5
"""Least share of the tests with a verdict that must pass on the untouched tree."""


def find_environment(
    snapshot: RepoSnapshot,
    request: RepoRequest,
    *,
    store: EnvironmentStore,
    backend: SandboxBackend,
    record: Callable[[EnvironmentEntry], None],
    suite_seconds: float = SUITE_SECONDS,
) -> TestedBuild:
    """Install a snapshot in the first way that works, and run its suite once. Each attempt is told to ``record``.

    Raises:
        UnusableRepoError: it cannot be used; ``reason`` and message say why.
        InfraError: the machine failed.
    """
    attempt = _Attempt(snapshot, record)
    try:
        layout = read_test_layout(snapshot.tree, request)
        if not layout.files and not layout.paths:
            raise UnusableRepoError(
                f"{snapshot.repo} at {snapshot.commit[:8]} has no tests: no test_*.py or *_test.py file was found; "
                "set `test_paths` for it in the repo list",
                "no_tests",
            )
        recipes = make_recipes(snapshot, request, layout)
    except UnusableRepoError as error:
        attempt.reject(error)
        raise
    memory = _memory(snapshot, recipes, layout, backend)
    known = recall(memory, snapshot, store)
    if known is None:
        known = _try_recipes(attempt, recipes, layout, store, backend, suite_seconds)
        remember(memory, known)
    return known


def _memory(snapshot: RepoSnapshot, recipes: list[InstallRecipe], layout: TestLayout, backend: SandboxBackend) -> Path:
    """The file that keeps the answer to this very question."""
    described = [snapshot.repo, snapshot.source, snapshot.commit, snapshot.version, backend.name]
    tried = [[recipe.python, recipe.exclude_newer.isoformat(), *recipe.commands] for recipe in recipes]
    key = digest_json([*described, tried, layout.paths, layout.variables, runner_digest()])
    return home() / "environments" / f"{snapshot.repo}-{key[:20]}.json"


class _Attempt:
    """Tells what is tried for one snapshot."""

    def __init__(self, snapshot: RepoSnapshot, record: Callable[[EnvironmentEntry], None]) -> None:
        self.snapshot = snapshot
        self._tell = record
        self._begun = time.monotonic()

    def reject(self, error: UnusableRepoError, log: str = "") -> None:
        self._record("rejected", error.reason, f"{log}{error}", None)

    def built(self, environment: Environment, log: str) -> None:
        self._record("built", "", log, environment.id)

    def _record(self, outcome: Literal["built", "rejected"], reason: str, log: str, environment_id: str | None) -> None:
        now = time.monotonic()
        repo, commit = self.snapshot.repo, self.snapshot.commit
        self._tell(EnvironmentEntry(repo, commit, environment_id, outcome, reason, log, now - self._begun))
        self._begun = now


def _try_recipes(
    attempt: _Attempt,
    recipes: list[InstallRecipe],
    layout: TestLayout,
    store: EnvironmentStore,
    backend: SandboxBackend,
    suite_seconds: float,
) -> TestedBuild:
    """The first recipe that installs and whose tests can be imported decides."""
    last: UnusableRepoError | None = None
    for recipe in recipes:
        words = f"$ {' && '.join(recipe.commands)}\n"
        try:
            installed = store.install(recipe, attempt.snapshot.tree, repo=attempt.snapshot.repo)
        except EnvironmentBuildError as error:
            # What the project asks for first matters most, so its failure is what the user is told at the end.
            last = last or UnusableRepoError(f"{attempt.snapshot.repo} cannot be installed: {error}", "install_failed")
            attempt.reject(UnusableRepoError(str(error), "install_failed"), words)
            continue
        try:
            build = store.adopt(installed, _describe(attempt.snapshot, recipe, installed, layout))
        except BaseException:
            store.discard(installed)
            raise
        baseline = run_suite(backend, build, {}, ids=None, order_seed=None, timeout=suite_seconds, explain=True)
        fault = _fault(attempt.snapshot, baseline, suite_seconds)
        if fault is None:
            attempt.built(build.environment, f"{words}{_count(baseline)}")
            return TestedBuild(build, baseline)
        attempt.reject(fault, words)
        last = fault
        if not (fault.reason == "tests_crash" or baseline.collect_errors):
            break  # the tests ran: with fewer packages they would do no better
    assert last is not None
    raise last


def _describe(snapshot: RepoSnapshot, recipe: InstallRecipe, installed: Installed, layout: TestLayout) -> Environment:
    return Environment(
        repo=snapshot.repo,
        source=snapshot.source,
        commit=snapshot.commit,
        committed_at=snapshot.committed_at,
        packages_until=recipe.exclude_newer,
        licence=snapshot.licence,
        python=recipe.python,
        tree_digest=tree_digest(snapshot.tree),
        version=snapshot.version,
        requirements=installed.requirements,
        editable=installed.editable,
        variables=layout.variables,
        test_paths=layout.paths,
        plugins=installed.plugins,
    )


def _fault(snapshot: RepoSnapshot, run: SuiteRun, suite_seconds: float) -> UnusableRepoError | None:
    """Why a suite that behaved like this is no base for tasks, or None."""
    where = f"{snapshot.repo} at {snapshot.commit[:8]}"
    broken = next(iter(run.collect_errors.items()), None)
    if run.stopped is StopCause.TIMEOUT:
        return UnusableRepoError(
            f"the test suite of {where} hangs: it was stopped after {suite_seconds:.0f} s; name the tests that end "
            "with `test_paths` in the repo list",
            "suite_hangs",
        )
    if run.error or run.stopped:
        why = run.stopped.value if run.stopped else run.error
        return UnusableRepoError(f"the test suite of {where} does not run to its end: {why[-2000:]}", "tests_crash")
    if not run.outcomes and broken:
        return UnusableRepoError(
            f"no test file of {where} can be imported; {broken[0]}: {broken[1][-2000:]}", "tests_crash"
        )
    passed, failed = len(run.passed()), len(_failed(run)) + len(run.collect_errors)
    if not passed and not failed:
        return UnusableRepoError(f"{where} has no test that runs: all are skipped", "no_tests")
    if not passed or passed < LEAST_SHARE * (passed + failed):
        example = next((outcome.detail for outcome in _failed(run)), broken[1] if broken else "")
        return UnusableRepoError(
            f"the tests of {where} fail before anything is changed: {failed} of {passed + failed}, the first with:\n"
            f"{example[-1500:]}",
            "tests_fail",
        )
    return None


def _failed(run: SuiteRun) -> list[TestOutcome]:
    bad = (TestStatus.FAILED, TestStatus.ERROR)
    return [outcome for outcome in run.outcomes.values() if outcome.status in bad]


def _count(run: SuiteRun) -> str:
    return f"{len(run.passed())} passed, {len(_failed(run))} failed, {len(run.collect_errors)} files not collected"
