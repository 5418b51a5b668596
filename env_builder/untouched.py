"""Runs of an environment's untouched tree: the solved state of every bug that is planted in it.

The state is the same for all of these candidates, byte for byte, so it is run once for each number, in a fresh sandbox
and an order of its own, and every candidate's certificate names these runs beside the digest of the tree.
"""

import threading
from typing import NamedTuple

from agent_env.grading import SuiteRun, run_suite
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from tasks.record import digest_json


class SeededRun(NamedTuple):
    """A run and the seed of its order."""

    seed: int
    run: SuiteRun


class UntouchedRuns:
    """Makes the runs when they are first asked for; safe to use from several threads."""

    def __init__(self, build: Build, backend: SandboxBackend, timeout: float) -> None:
        self._build = build
        self._backend = backend
        self._timeout = timeout
        self._lock = threading.Lock()
        self._runs: list[SeededRun] = []

    def get(self, number: int) -> SeededRun:
        """Run ``number``, from 0.

        Raises:
            SandboxError: the machine failed.
        """
        with self._lock:
            while len(self._runs) <= number:
                seed = order_seed(self._build.environment.id, "untouched", len(self._runs))
                run = run_suite(self._backend, self._build, {}, ids=None, order_seed=seed, timeout=self._timeout)
                self._runs.append(SeededRun(seed, run))
            return self._runs[number]


def order_seed(subject: str, state: str, number: int) -> int:
    """Seed of a run's test order: a function of what is run, its state, and the run's number."""
    return int(digest_json([subject, state, number])[:8], 16)
