"""What the candidates of one environment share, made once when the first of them is tried."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from agent_env.sandbox.base import SandboxBackend
from agent_env.store import EnvironmentStore
from env_builder.environment import SUITE_SECONDS, find_environment
from env_builder.errors import UnusableRepoError
from env_builder.leak_auditor import LeakAuditor
from env_builder.oracle import OracleMaker
from env_builder.request import RepoRequest
from env_builder.root_lines import RootLines
from env_builder.snapshot import RepoSnapshot
from env_builder.statement import write_statement
from env_builder.untouched import UntouchedRuns
from env_builder.validation import Bench, Draft
from tasks.ledger import EnvironmentEntry
from tasks.patch import patched_paths
from tasks.task import Statement

LEAST_SECONDS = 30.0
"""Shortest timeout of a suite run."""

SLACK = 8.0
"""A run may take this many times as long as the run on the untouched tree: a machine under load, or more failures."""

Rewriter = Callable[[Statement, Draft], Statement]
"""Makes a better problem statement out of the template's. Raises ``StatementRefusedError`` where it cannot."""


class Benches:
    """One bench for each environment; safe to use from several threads.

    Args:
        record: is told of each attempt to build an environment, in whatever thread that takes place.
        suite_seconds: longest run of a suite.
        rewrite: makes a better statement out of the template's; None keeps that.
        allow_weak_oracle: whether a task may do without an oracle that tells its start from its solution.
        newest: trees of the projects' newest releases, by name; one that is missing is the snapshot's own.
    """

    def __init__(
        self,
        store: EnvironmentStore,
        backend: SandboxBackend,
        record: Callable[[EnvironmentEntry], None],
        *,
        suite_seconds: float = SUITE_SECONDS,
        rewrite: Rewriter | None = None,
        allow_weak_oracle: bool = False,
        newest: Mapping[str, Path] | None = None,
    ) -> None:
        self.root = RootLines(backend)
        self._newest = newest or {}
        self._store = store
        self._backend = backend
        self._record = record
        self._suite_seconds = suite_seconds
        self._rewrite = rewrite
        self._allow_weak_oracle = allow_weak_oracle
        self._lock = threading.Lock()
        self._commit_locks: dict[tuple[str, str], threading.Lock] = {}
        self._made: dict[tuple[str, str], Bench | UnusableRepoError] = {}

    def get(self, snapshot: RepoSnapshot, request: RepoRequest) -> Bench:
        """The bench of a snapshot.

        Raises:
            UnusableRepoError: there is no environment for it; the same error each time, without another try.
            InfraError: the machine failed; asked again, it tries again.
        """
        key = (request.name, snapshot.commit)
        with self._lock:
            lock = self._commit_locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._made:
                try:
                    self._made[key] = self._make(snapshot, request)
                except UnusableRepoError as error:
                    self._made[key] = error
            found = self._made[key]
        if isinstance(found, UnusableRepoError):
            raise UnusableRepoError(str(found), found.reason)
        return found

    def _make(self, snapshot: RepoSnapshot, request: RepoRequest) -> Bench:
        tested = find_environment(
            snapshot,
            request,
            store=self._store,
            backend=self._backend,
            record=self._record,
            suite_seconds=self._suite_seconds,
        )
        timeout = min(self._suite_seconds, max(LEAST_SECONDS, SLACK * tested.baseline.seconds))
        return Bench(
            build=tested.build,
            backend=self._backend,
            baseline=frozenset(tested.baseline.passed()),
            timeout=timeout,
            untouched=UntouchedRuns(tested.build, self._backend, timeout),
            oracles=OracleMaker(tested.build, self._backend, timeout),
            write=self._write,
            audit=LeakAuditor(
                tested.build, self._backend, self.root, self._newest.get(request.name, tested.build.tree)
            ),
            allow_weak_oracle=self._allow_weak_oracle,
        )

    def _write(self, draft: Draft) -> Statement:
        gold, hidden = draft.patches.gold, draft.patches.hidden
        statement = write_statement(
            draft.failures, target_paths=patched_paths(gold), hidden_files=hidden, gold_patch=gold
        )
        return self._rewrite(statement, draft) if self._rewrite else statement
