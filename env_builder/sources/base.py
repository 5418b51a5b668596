"""The seam of the sources: a repository is a history of commits, each of which can be had as a clean tree."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from env_builder.snapshot import RepoSnapshot
from tasks.tree import Edits

HistoryKind = Literal["commit", "release"]
"""What one step of a history is: a commit its authors made, or a whole release."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One commit with a single parent."""

    commit: str
    parent: str
    subject: str
    paths: tuple[str, ...]
    """Files added, changed or deleted; a rename is both."""


class RepoSource(Protocol):
    """One repository: its name, its history, and its trees."""

    repo: str
    """Short name, unique in a repo list."""
    source: str
    """Where it came from, as the user wrote it."""
    kind: HistoryKind

    def snapshot(self, ref: str | None = None) -> RepoSnapshot:
        """The clean tree of a branch, tag, version or commit; None means what the request named, else the head.

        Raises:
            SourceError: there is no such ref.
        """
        ...

    def changes(self) -> Iterator[Change]:
        """All commits up to the requested ref, newest first; merges and the root are left out."""
        ...

    def files(self, commit: str, paths: Iterable[str]) -> Edits:
        """Content of regular files at a commit; None for a path that it lacks. Symlinks and submodules are left out."""
        ...

    def close(self) -> None:
        """End what serves the reads."""
        ...
