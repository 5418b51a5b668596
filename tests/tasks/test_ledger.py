"""The ledger: nothing that was recorded is lost, and failures of the machine are tried again."""

from pathlib import Path

import pytest

from tasks.errors import PoolError
from tasks.ledger import CandidateEntry, EnvironmentEntry, Ledger


def entry(candidate_id: str, outcome: str = "rejected") -> CandidateEntry:
    return CandidateEntry(candidate_id, "env", "toy", "procedural.x", outcome, "no_failing_test", "", 1.5, 10, None)  # type: ignore[arg-type]


def test_entries_come_back_and_later_ones_replace_earlier(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.record(entry("b", "failed"))
        ledger.record(entry("a"))
        ledger.record(entry("b", "certified"))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert [(found.candidate_id, found.outcome) for found in ledger.candidates()] == [
            ("a", "rejected"),
            ("b", "certified"),
        ]


def test_failures_of_the_machine_are_not_settled(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        for candidate_id, outcome in (("a", "certified"), ("b", "rejected"), ("c", "failed")):
            ledger.record(entry(candidate_id, outcome))
        assert ledger.settled() == {"a", "b"}


def test_what_was_recorded_survives_a_process_that_never_closed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.record(entry("a"))
    with Ledger(tmp_path / "l.sqlite") as second:
        assert second.settled() == {"a"}
    ledger.close()


def test_every_attempt_at_an_environment_is_kept(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        for reason in ("install_failed", "install_failed"):
            ledger.record_environment(EnvironmentEntry("toy", "c", None, "rejected", reason, "log", 2.0))
        assert len(list(ledger.environments())) == 2


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"not a database, and long enough to be sure of it" * 50)
    with pytest.raises(PoolError, match="not a ledger"):
        Ledger(tmp_path / "l.sqlite")
