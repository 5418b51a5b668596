"""Steps of a history that changed source and tests together: what history candidates are made of."""

from collections.abc import Iterator
from dataclasses import dataclass

from env_builder.snapshot import RepoSnapshot
from env_builder.sources.base import Change, HistoryKind, RepoSource
from tasks.paths import PathKind, path_kind
from tasks.tree import Edits

PACKAGING_RECORD = "PKG-INFO"
"""Written by the tool that packs a release, not by its authors: it changes each time and means nothing."""


@dataclass(frozen=True, kw_only=True)
class CommitPair:
    """A commit or release beside the one before it."""

    before: RepoSnapshot
    """The parent: the tree that an environment is built for."""
    after: str
    """Id of the commit."""
    subject: str
    """First line of its message."""
    kind: HistoryKind
    changed: Edits
    """Every file it added or changed, with the content after; None for one it deleted."""


def commit_pairs(source: RepoSource, *, limit: int) -> Iterator[CommitPair]:
    """The newest ``limit`` steps that change Python source and Python tests, newest first; merges are skipped."""
    fit = (change for change in source.changes() if _changes_source_and_tests(change))
    for change, _ in zip(fit, range(limit), strict=False):
        paths = [path for path in change.paths if path != PACKAGING_RECORD]
        yield CommitPair(
            before=source.snapshot(change.parent),
            after=change.commit,
            subject=change.subject,
            kind=source.kind,
            changed=source.files(change.commit, paths),
        )


def _changes_source_and_tests(change: Change) -> bool:
    kinds = {path_kind(path) for path in change.paths if path.endswith(".py")}
    return {PathKind.SOURCE, PathKind.TEST} <= kinds
