"""The candidates of a build in one fixed order: what a limit cuts, and what a resumed build goes through again."""

import difflib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import islice, zip_longest
from typing import NamedTuple

from env_builder.candidate import Candidate, Strategy
from env_builder.history import commit_pairs
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.sources.base import RepoSource
from env_builder.strategies import HistoryStrategy, ProceduralStrategy
from env_builder.strategies.procedural.modifiers import MODIFIERS
from tasks.errors import BadInputError
from tasks.record import digest_json

HISTORY, PROCEDURAL = "history", "procedural"

FAMILIES = (HISTORY, PROCEDURAL)
"""What a build tries where nothing else is asked for."""


class Planned(NamedTuple):
    """A candidate, its place in the order, and where its environment comes from."""

    number: int
    candidate: Candidate
    snapshot: RepoSnapshot
    request: RepoRequest


@dataclass(frozen=True)
class RepoPlan:
    """The candidates of one repository by family, and the snapshots that they stand on."""

    request: RepoRequest
    families: list[list[Candidate]] = field(default_factory=list)
    snapshots: dict[str, RepoSnapshot] = field(default_factory=dict)


def check_strategies(names: Sequence[str]) -> None:
    """Refuse a name that is neither a family nor ``procedural.<modifier>``.

    Raises:
        BadInputError: naming the closest known one.
    """
    known = [*FAMILIES, *(f"{PROCEDURAL}.{name}" for name in MODIFIERS)]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise BadInputError(f"unknown strategy {name!r}; {hint}")
    if not names:
        raise BadInputError(f"no strategy was asked for: expected some of {', '.join(FAMILIES)}")


def plan_repo(
    request: RepoRequest, source: RepoSource, head: RepoSnapshot, *, strategies: Sequence[str], seed: int, limit: int
) -> RepoPlan:
    """The candidates of one repository, at most ``limit`` of each family; the same for the same seed."""
    plan = RepoPlan(request, snapshots={head.commit: head})
    for name, strategy, snapshots in _strategies(source, head, strategies, limit):
        plan.snapshots.update(snapshots)
        rng = random.Random(int(digest_json([seed, request.name, name])[:16], 16))
        allowed = (found for found in strategy.candidates(head, rng) if not _is_excluded(found, request.exclude))
        plan.families.append(list(islice(allowed, limit)))
    return plan


def in_order(plans: Iterable[RepoPlan]) -> list[Planned]:
    """All candidates: one of each family of each repository in turn, so that a cut leaves a mixture; each id once."""
    lanes = [
        [(candidate, plan.snapshots[candidate.commit], plan.request) for candidate in family]
        for plan in plans
        for family in plan.families
    ]
    mixed = (entry for row in zip_longest(*lanes) for entry in row if entry is not None)
    once = {entry[0].id: entry for entry in mixed}
    return [Planned(number, *entry) for number, entry in enumerate(once.values())]


def _strategies(
    source: RepoSource, head: RepoSnapshot, names: Sequence[str], limit: int
) -> Iterator[tuple[str, Strategy, dict[str, RepoSnapshot]]]:
    if HISTORY in names:
        pairs = list(commit_pairs(source, limit=limit))
        yield HISTORY, HistoryStrategy(pairs), {pair.before.commit: pair.before for pair in pairs}
    chosen = {key: value for key, value in MODIFIERS.items() if {PROCEDURAL, f"{PROCEDURAL}.{key}"} & set(names)}
    if chosen:
        yield PROCEDURAL, ProceduralStrategy(modifiers=chosen), {}


def _is_excluded(candidate: Candidate, globs: Sequence[str]) -> bool:
    changed = {*candidate.broken, *candidate.gold}
    return any(fnmatch(path, glob) or path.startswith(glob.rstrip("/") + "/") for path in changed for glob in globs)
