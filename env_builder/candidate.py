"""A candidate: a change that breaks or mends a repository and may become a task once validation has run it."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from env_builder.snapshot import RepoSnapshot
from tasks.record import digest_json
from tasks.tree import Edits


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Three sets of edits over one environment's tree: where the agent starts, where it should arrive, what tells."""

    repo: str
    commit: str
    """Commit of the environment: the snapshot itself (procedural) or the parent of the mined commit (history)."""
    strategy: str
    """``procedural.<modifier>``, ``history.commit``, ``history.release``."""
    broken: Edits
    """Environment's tree to start state: the bug of a procedural candidate; empty for history."""
    gold: Edits
    """Environment's tree to solution: empty for a procedural candidate, source files after the commit for history."""
    tests: Edits
    """Environment's tree to its tests after the commit; empty for a procedural candidate."""
    target: str
    """What was changed: ``toolz/itertoolz.py:partition``, or the commit's subject."""

    @cached_property
    def id(self) -> str:
        """Deterministic: repository, strategy and a digest of the commit and all edits."""
        content = digest_json([self.commit, *(_digests(edits) for edits in (self.broken, self.gold, self.tests))])
        return f"{self.repo}-{self.strategy}-{content[:10]}"


class Strategy(Protocol):
    """Yields candidates from a snapshot: lazily, and the same ones in the same order for the same seed."""

    def candidates(self, snapshot: RepoSnapshot, rng: random.Random) -> Iterator[Candidate]:
        """Candidates, the most worthwhile and most diverse first."""
        ...


def _digests(edits: Edits) -> dict[str, str | None]:
    return {path: None if content is None else hashlib.sha256(content).hexdigest() for path, content in edits.items()}
