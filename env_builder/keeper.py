"""Keeps what a build settles: in the ledger at once, in the pool's tables now and then and at the end."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from env_builder.cut import Cut
from env_builder.plan import Planned
from env_builder.trial import Trial
from tasks.errors import InfraError
from tasks.ledger import CandidateEntry, EnvironmentEntry
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import pack_tree

SAVE_SECONDS = 60.0
"""How often the pool's tables are written while a build runs; the ledger has everything in between."""


class Keeper:
    """The pool of one build, its ledger, and the cut through its candidates. Use as a context manager, in one thread.

    Tasks that the pool held before stay in it.

    Args:
        out: the pool's directory; absent, empty, or a pool.

    Raises:
        PoolError: ``out`` is something else.
    """

    def __init__(self, out: Path, cut: Cut) -> None:
        self.cut = cut
        self.attempts: SimpleQueue[EnvironmentEntry] = SimpleQueue()
        """Attempts to build environments, put here by any thread and written down by this one."""
        self._is_new = not (out / "pool.json").is_file()
        self._had_folder = out.is_dir()
        self.pool = Pool.create(out)
        self._ledger = self.pool.open_ledger()
        self._tasks = {task.id: task for task in self.pool.rows()}
        self._packed: set[str] = set()
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._write_attempts()
        self._ledger.close()

    def resume(self, plan: Sequence[Planned]) -> list[Planned]:
        """Count what earlier builds settled, and return what is open."""
        settled = {entry.candidate_id: entry for entry in self._ledger.candidates() if entry.outcome != "failed"}
        for planned in plan:
            if planned.candidate.id in settled:
                self.cut.settle(planned.number, settled[planned.candidate.id])
        return [planned for planned in plan if planned.candidate.id not in settled]

    def keep(self, planned: Planned, trial: Trial) -> None:
        """Write one candidate down, its environment first.

        Raises:
            InfraError: the disk is full.
        """
        try:
            if trial.build and trial.build.environment.id not in self._packed:
                self.pool.add_environment(trial.build.environment, pack_tree(trial.build.tree))
                self._packed.add(trial.build.environment.id)
            self._ledger.record(trial.entry)
            self._write_attempts()
        except sqlite3.OperationalError as error:
            raise InfraError(
                f"the ledger of {self.pool.path} cannot be written: {error}; make room and run the same command again"
            ) from error
        self.cut.settle(planned.number, trial.entry)
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the pool's tables."""
        for entry in self.cut.certified:
            if entry.candidate_id not in self._tasks:
                self._tasks[entry.candidate_id] = _task(entry)
        self.pool.write_tasks(self._tasks.values())
        self._saved_at = time.monotonic()

    def by_strategy(self) -> dict[str, int]:
        """How many tasks of this build each strategy gave, the most first."""
        return dict(Counter(entry.strategy for entry in self.cut.certified).most_common())

    def abandon(self) -> None:
        """Remove the pool again, if this build made it: nothing came of it."""
        self._write_attempts()
        if not self._is_new:
            return
        for path in self.pool.path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self._had_folder:
            self.pool.path.rmdir()

    def _write_attempts(self) -> None:
        while True:
            try:
                self._ledger.record_environment(self.attempts.get_nowait())
            except Empty:
                return


def _task(entry: CandidateEntry) -> Task:
    assert entry.task is not None
    return Task.model_validate_json(entry.task)
