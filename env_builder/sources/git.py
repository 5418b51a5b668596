"""A repository in git: read through the git binary, cloned bare into the cache where it lies elsewhere."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from pathlib import Path

from git import Commit, Git, Repo
from git.exc import GitCommandError, GitError, InvalidGitRepositoryError, NoSuchPathError
from git.objects import Blob

from env_builder.cache import fresh_directory, locked
from env_builder.errors import SourceError
from env_builder.licence import find_licence
from env_builder.request import RepoRequest
from env_builder.snapshot import SYMLINK_MODE, RepoSnapshot, TreeFile, lay_files
from env_builder.sources.base import Change, HistoryKind
from env_builder.version import find_version, version_of_tag
from tasks.home import home
from tasks.tree import Edits

CLONE_TIMEOUT = 900.0
"""Seconds that a clone or fetch may take."""

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20"),
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    "LC_ALL": "C.UTF-8",
}
"""git never asks a question here: it answers or fails."""


class GitSource:
    """A history in a git directory on this machine; one thread at a time may read it."""

    def __init__(self, request: RepoRequest, git_dir: Path, *, kind: HistoryKind = "commit") -> None:
        self.repo = request.name
        self.source = request.source
        self.kind = kind
        self._ref = request.ref
        try:
            self._git = Repo(git_dir)
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise SourceError(f"{request.source}: {git_dir} is not a git repository") from error

    def close(self) -> None:
        """End the git processes that serve reads."""
        self._git.close()

    def snapshot(self, ref: str | None = None) -> RepoSnapshot:
        """See ``RepoSource.snapshot``."""
        commit = self._commit(ref)
        tree = home() / "trees" / commit.hexsha
        if not tree.is_dir():
            with fresh_directory(tree) as beside:
                lay_files(beside, _tree_files(commit))
        return RepoSnapshot(
            repo=self.repo,
            source=self.source,
            commit=commit.hexsha,
            committed_at=commit.committed_datetime.astimezone(UTC),
            version=self._tagged_version(commit.hexsha) or find_version(tree),
            licence=find_licence(tree),
            tree=tree,
        )

    def changes(self) -> Iterator[Change]:
        """See ``RepoSource.changes``."""
        for commit in self._git.iter_commits(self._commit(None).hexsha, no_merges=True):
            if len(commit.parents) != 1:
                continue
            parent = commit.parents[0].hexsha
            names = self._git.git.diff_tree("-r", "-z", "--no-renames", "--name-only", parent, commit.hexsha)
            paths = tuple(name for name in names.split("\0") if name)
            yield Change(commit=commit.hexsha, parent=parent, subject=str(commit.summary), paths=paths)

    def files(self, commit: str, paths: Iterable[str]) -> Edits:
        """See ``RepoSource.files``."""
        tree = self._git.commit(commit).tree
        found: dict[str, bytes | None] = {}
        for path in paths:
            try:
                entry = tree / path
            except KeyError:
                found[path] = None
                continue
            if isinstance(entry, Blob) and entry.mode != SYMLINK_MODE:
                found[path] = entry.data_stream.read()
        return found

    def _commit(self, ref: str | None) -> Commit:
        wanted = ref or self._ref or "HEAD"
        said = ""
        for name in (wanted, f"refs/tags/v{wanted}"):
            try:
                return self._git.commit(self._git.git.rev_parse("--verify", "--quiet", f"{name}^{{commit}}"))
            except (GitError, ValueError) as error:
                said = said or " ".join(str(error).split())
        if wanted == "HEAD":
            raise SourceError(f"{self.source} has no commit on its default branch, or git may not read it: {said}")
        raise SourceError(f"{self.source} has no ref {wanted!r}: expected a branch, a tag, a version or a commit id")

    def _tagged_version(self, commit: str) -> str | None:
        try:
            return version_of_tag(self._git.git.describe("--tags", "--abbrev=0", commit))
        except GitCommandError:
            return None


def _tree_files(commit: Commit) -> Iterator[TreeFile]:
    for entry in commit.tree.traverse():
        if isinstance(entry, Blob):
            yield TreeFile(str(entry.path), entry.mode, entry.data_stream.read())


def open_url(request: RepoRequest) -> GitSource:
    """Clone a git URL into the cache, or bring the clone that is there up to date.

    Raises:
        SourceError: there is no such repository, or git cannot reach it.
    """
    address = hashlib.sha256(request.source.encode()).hexdigest()[:12]
    git_dir = home() / "sources" / f"{request.name}-{address}.git"
    with locked(git_dir):
        if git_dir.is_dir():
            _update(request, git_dir)
        else:
            with fresh_directory(git_dir) as beside:
                _call_git(request, "clone", "--quiet", "--mirror", "--", request.source, str(beside))
    return GitSource(request, git_dir)


def _update(request: RepoRequest, git_dir: Path) -> None:
    """Fetch what is new, and follow the default branch where it moved."""
    here = ("--git-dir", str(git_dir))
    _call_git(request, *here, "fetch", "--quiet", "--prune", "--tags", "origin")
    head = re.match(
        r"ref: (refs/heads/\S+)\s+HEAD", _call_git(request, *here, "ls-remote", "--symref", "origin", "HEAD")
    )
    if head:
        _call_git(request, *here, "symbolic-ref", "HEAD", head[1])


def _call_git(request: RepoRequest, *arguments: str) -> str:
    try:
        return str(Git().execute(["git", *arguments], env=_ENVIRONMENT, kill_after_timeout=CLONE_TIMEOUT))
    except GitCommandError as error:
        said = str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ").split("\n")[0]
        raise SourceError(
            f"{request.source} cannot be had: git said {said or str(error)!r}; "
            "check the address, the network and your access"
        ) from error
