"""One commit of a repository as a clean directory: its files and nothing of its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from env_builder.errors import SourceError


@dataclass(frozen=True, kw_only=True)
class RepoSnapshot:
    """A commit, its clean tree, and what is known about it."""

    repo: str
    """Short name, unique in a repo list."""
    source: str
    """Where it came from, as the user wrote it."""
    commit: str
    """Full commit id in the source's history."""
    committed_at: datetime
    """When it was committed, or released; UTC."""
    version: str
    """Version of the project at this commit: the newest tag's, else what its metadata states, else ``0.0.0``."""
    licence: str
    """SPDX expression where one is stated or recognised, else the project's own words, else ``unknown``."""
    tree: Path
    """Directory in the cache with the files of the commit; shared, so never to be written to."""


class TreeFile(NamedTuple):
    """One file of a commit."""

    path: str
    mode: int
    """As git has it: 0o100644, 0o100755 (executable) or 0o120000 (symlink, its target as content)."""
    content: bytes


SYMLINK_MODE = 0o120000
EXECUTABLE_MODE = 0o100755


def lay_files(root: Path, files: Iterable[TreeFile]) -> None:
    """Write the files of a commit below ``root``, an empty directory.

    Symlinks are made last, so that no file is written through one; a symlink that leaves the tree is left out.

    Raises:
        SourceError: a path leaves the tree or names git's own directory.
    """
    links = []
    for file in files:
        parts = PurePosixPath(file.path).parts
        if file.path.startswith("/") or ".." in parts or any(part.lower() == ".git" for part in parts):
            raise SourceError(f"the commit holds the path {file.path!r}, which no honest tree has; it is refused")
        if file.mode == SYMLINK_MODE:
            links.append(file)
            continue
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.mode == EXECUTABLE_MODE else 0o644)
    for link in links:
        if stays_inside(link.path, link.content.decode(errors="surrogateescape")):
            (root / link.path).parent.mkdir(parents=True, exist_ok=True)
            (root / link.path).symlink_to(link.content.decode(errors="surrogateescape"))


def stays_inside(path: str, target: str) -> bool:
    """Whether a symlink at ``path`` (relative to the tree) that points to ``target`` stays in the tree."""
    depth = len(PurePosixPath(path).parts) - 1
    if target.startswith("/"):
        return False
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True
