"""A directory of this machine: the commits of a git work tree, or one synthetic commit of a plain directory."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from env_builder.cache import fresh_directory
from env_builder.errors import SourceError
from env_builder.request import RepoRequest
from env_builder.snapshot import TreeFile
from env_builder.sources.git import GitSource
from env_builder.sources.synthesis import Step, write_history
from env_builder.sources.walk import read_tree
from tasks.home import home


def open_local(request: RepoRequest) -> GitSource:
    """Read a directory: as git has it where it is the top of a work tree or a bare repository, else as it lies there.

    Changes that are not committed are not seen in a git work tree.

    Raises:
        SourceError: there is no such directory, or it is empty.
    """
    path = request.path
    if not path.is_dir():
        raise SourceError(f"{request.source}: there is no directory {path}")
    if (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir()):
        return GitSource(request, path)
    if request.ref is not None:
        raise SourceError(f"{request.source} is a plain directory, not a git repository: it has no ref {request.ref!r}")
    return GitSource(request, _commit_directory(request, path))


def _commit_directory(request: RepoRequest, path: Path) -> Path:
    """One commit of all files, dated by the newest: the same files and times give the same commit."""
    files = list(read_tree(path))
    if not files:
        raise SourceError(f"{request.source}: {path} holds no files")
    newest = max((path / file.path).lstat().st_mtime for file in files)
    when = datetime.fromtimestamp(int(newest), UTC)
    git_dir = home() / "sources" / f"{request.name}-{_digest(files)[:12]}-{int(newest)}.git"
    if not git_dir.is_dir():
        with fresh_directory(git_dir) as beside:
            write_history(beside, [Step(version=None, subject=f"Files of {request.name}", when=when, files=files)])
    return git_dir


def _digest(files: list[TreeFile]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(b"%s\0%o\0%s\0" % (os.fsencode(file.path), file.mode, hashlib.sha256(file.content).digest()))
    return total.hexdigest()
