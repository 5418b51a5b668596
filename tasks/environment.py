"""How to build and test one repository at one commit: content-addressed, the same on every backend."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tasks.record import Record


class Environment(Record):
    """A build and test recipe; a machine builds what it lacks from this record and the tree."""

    format_version: Literal[1] = 1
    repo: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Short name, unique in a repo list (``toolz``)."""
    source: str
    """Where the repository came from, as the user wrote it (``pypi:toolz``, a git URL, a path)."""
    commit: str
    """Full commit id of the tree in that source's history."""
    committed_at: datetime
    """When the commit was made (UTC)."""
    packages_until: datetime
    """Packages published after this moment do not exist for the install: the commit's, or the interpreter's release."""
    licence: str = "unknown"
    """SPDX expression where the project states one, else its own words, else ``unknown``."""
    language: Literal["python"] = "python"
    python: str
    """Version of the interpreter, ``major.minor``."""
    tree_digest: str
    """Digest of the clean tree (``tasks.tree.tree_digest``)."""
    version: str = "0.0.0"
    """Version that build tools which ask version control are told."""
    requirements: tuple[str, ...] = ()
    """Every distribution of the built environment but the project itself, pinned ``name==version``, sorted."""
    editable: bool = True
    """Whether the project itself is installed in editable mode; False puts its source roots on the import path."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Environment variables that the tests need."""
    test_paths: tuple[str, ...] = ()
    """What pytest is told to collect, relative to the repository; empty means the repository's own default."""
    plugins: tuple[str, ...] = ()
    """pytest plugins (entry-point names) that the runner loads by name; nothing else is loaded."""

    @property
    def id(self) -> str:
        """Content address: repository, commit and a digest of everything above."""
        return f"{self.repo}-{self.commit[:8]}-{self.digest()[:10]}"
