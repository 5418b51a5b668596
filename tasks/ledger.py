"""The ledger: every environment and every candidate ever tried, kept in SQLite so that a killed build loses nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.errors import PoolError

SCHEMA = """
CREATE TABLE IF NOT EXISTS candidates (
  candidate_id   TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  repo           TEXT NOT NULL,
  strategy       TEXT NOT NULL,
  outcome        TEXT NOT NULL CHECK (outcome IN ('certified', 'rejected', 'failed')),
  reason         TEXT NOT NULL,
  detail         TEXT NOT NULL,
  seconds        REAL NOT NULL,
  bytes          INTEGER NOT NULL,
  task           TEXT
);
CREATE TABLE IF NOT EXISTS environments (
  attempt        INTEGER PRIMARY KEY,
  repo           TEXT NOT NULL,
  commit_id      TEXT NOT NULL,
  environment_id TEXT,
  outcome        TEXT NOT NULL CHECK (outcome IN ('built', 'rejected', 'failed')),
  reason         TEXT NOT NULL,
  log            TEXT NOT NULL,
  seconds        REAL NOT NULL
);
"""

Outcome = Literal["certified", "rejected", "failed"]


class CandidateEntry(NamedTuple):
    """What became of one candidate."""

    candidate_id: str
    environment_id: str
    repo: str
    strategy: str
    outcome: Outcome
    """``certified``; ``rejected`` (a fact about the candidate); ``failed`` (infrastructure: tried again on resume)."""
    reason: str
    """A short fixed word per cause (``no_failing_test``, ``flaky``, ``leak``), empty where certified."""
    detail: str
    seconds: float
    bytes: int
    """Size of the candidate's patches."""
    task: str | None
    """The certified task as JSON."""


class EnvironmentEntry(NamedTuple):
    """What became of one attempt to build an environment."""

    repo: str
    commit_id: str
    environment_id: str | None
    outcome: Literal["built", "rejected", "failed"]
    reason: str
    log: str
    """What was tried and what it printed."""
    seconds: float


class Ledger:
    """One SQLite file in write-ahead mode; use as a context manager."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise PoolError(f"{path} is not a ledger that can be opened: {error}") from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def record(self, entry: CandidateEntry) -> None:
        """Write one candidate; a later entry of the same id replaces the earlier."""
        self._connection.execute(f"INSERT OR REPLACE INTO candidates VALUES ({','.join('?' * len(entry))})", entry)

    def record_environment(self, entry: EnvironmentEntry) -> None:
        """Write one attempt to build an environment."""
        names = ", ".join(entry._fields)
        self._connection.execute(f"INSERT INTO environments ({names}) VALUES ({','.join('?' * len(entry))})", entry)

    def settled(self) -> set[str]:
        """Ids of the candidates that need no further try: certified or rejected."""
        rows = self._connection.execute("SELECT candidate_id FROM candidates WHERE outcome != 'failed'")
        return {row[0] for row in rows}

    def candidates(self) -> Iterator[CandidateEntry]:
        """All candidates, by id."""
        for row in self._connection.execute("SELECT * FROM candidates ORDER BY candidate_id"):
            yield CandidateEntry(*row)

    def environments(self) -> Iterator[EnvironmentEntry]:
        """All attempts to build environments, oldest first."""
        names = ", ".join(EnvironmentEntry._fields)
        for row in self._connection.execute(f"SELECT {names} FROM environments ORDER BY attempt"):
            yield EnvironmentEntry(*row)
