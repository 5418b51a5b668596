"""One candidate brought to its end, whatever happens: certified, rejected, or failed for no fault of its own."""

import errno
import time
import traceback
from typing import NamedTuple

from agent_env.store import Build
from env_builder.benches import Benches
from env_builder.candidate import Candidate
from env_builder.errors import UnusableRepoError
from env_builder.plan import Planned
from env_builder.validation import Validated, validate
from tasks.errors import InfraError
from tasks.ledger import CandidateEntry, Outcome

DETAIL_CHARACTERS = 4000
"""Longest explanation kept of one candidate."""


class Trial(NamedTuple):
    """What became of a candidate, as the ledger keeps it, and the build that its task needs."""

    entry: CandidateEntry
    build: Build | None


def run_trial(planned: Planned, benches: Benches) -> Trial:
    """Validate one candidate in its environment.

    This is the one boundary where what goes wrong is sorted: a fact about the candidate is ``rejected``, all else is
    ``failed`` and tried again by the next build.

    Raises:
        InfraError: the disk is full: nothing that follows could be kept.
    """
    begun = time.monotonic()
    candidate = planned.candidate
    try:
        bench = benches.get(planned.snapshot, planned.request)
        verdict = validate(candidate, bench)
    except UnusableRepoError as error:
        # An install may fail because a network did; what the tests did is a fact.
        outcome: Outcome = "failed" if error.reason == "install_failed" else "rejected"
        return Trial(_entry(candidate, "", outcome, f"environment_{error.reason}", str(error), begun), None)
    except InfraError as error:
        return Trial(_entry(candidate, "", "failed", "infra", str(error), begun), None)
    except OSError as error:
        raise_if_full(error)
        return Trial(_entry(candidate, "", "failed", "infra", str(error), begun), None)
    except Exception:  # noqa: BLE001 - a fault of ours in one candidate must not cost a night's build
        return Trial(_entry(candidate, "", "failed", "crash", traceback.format_exc(), begun), None)
    environment_id = bench.build.environment.id
    if isinstance(verdict, Validated):
        task = verdict.task
        size = sum(len(patch.encode()) for patch in (task.setup_patch, task.gold_patch, task.test_patch))
        entry = _entry(candidate, environment_id, "certified", "", "", begun)
        return Trial(entry._replace(bytes=size, task=task.model_dump_json()), bench.build)
    return Trial(_entry(candidate, environment_id, "rejected", verdict.reason, verdict.detail, begun), None)


def raise_if_full(error: OSError) -> None:
    """Turn a full disk into words.

    Raises:
        InfraError: the disk or the user's share of it is full.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise InfraError(
            f"the disk is full ({error}). What was settled is kept: make room and run the same command again"
        ) from error


def _entry(
    candidate: Candidate, environment_id: str, outcome: Outcome, reason: str, detail: str, begun: float
) -> CandidateEntry:
    edits = [content for edits in (candidate.broken, candidate.gold, candidate.tests) for content in edits.values()]
    return CandidateEntry(
        candidate_id=candidate.id,
        environment_id=environment_id,
        repo=candidate.repo,
        strategy=candidate.strategy,
        outcome=outcome,
        reason=reason,
        detail=detail[-DETAIL_CHARACTERS:],
        seconds=round(time.monotonic() - begun, 3),
        bytes=sum(len(content or b"") for content in edits),
        task=None,
    )
