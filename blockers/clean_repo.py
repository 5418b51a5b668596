"""The agent's repository: one root commit made from files, so that there is nothing else in it to find.

The commit is a function of the files alone. The index carries size and modification time of the tree's files, so that
the first ``git status`` in a sandbox reads no file it need not. Where the sandbox's user is not the owner of the files,
git accepts the repository only with ``safe.directory = *`` in /etc/gitconfig: it cannot say that of itself.
"""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from blockers.errors import GitError
from blockers.git_audit import audit_git_dir
from blockers.git_layout import BRANCH, IDENTITY, MESSAGE, run_git, write_skeleton
from tasks.tree import Edits, list_files

__all__ = ["audit_git_dir", "make_git_dir"]


def make_git_dir(tree: Path, edits: Edits, target: Path, *, untracked: Collection[str] = ()) -> str:
    """Make ``target`` a git directory with one root commit of ``tree`` with ``edits`` laid over it.

    Args:
        tree: a clean export; a ``.git`` in it is not read.
        edits: changed files over it.
        target: absent, or an empty directory.
        untracked: files that will lie in the work tree beside the commit's (what the installation generated); git is
            told to ignore them.

    Returns:
        The id of the commit, equal for equal files.

    Raises:
        GitError: ``target`` is not empty, or git failed.
    """
    if target.exists() and any(target.iterdir()):
        raise GitError(f"{target} is not empty; expected a new directory for the repository")
    write_skeleton(target, excluded="".join(f"/{_escape(path)}\n" for path in sorted(untracked)))
    variables = {"GIT_DIR": str(target.absolute()), "GIT_WORK_TREE": str(tree.absolute())}
    stream = b"".join(commit_stream(tree, edits))
    run_git("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--depth=0", variables=variables, stdin=stream)
    run_git("read-tree", BRANCH, variables=variables)
    # Puts size and time of the tree's files into the index; files that the edits changed stay to be read.
    run_git("status", "--porcelain", "--untracked-files=no", variables=variables)
    return (target / BRANCH).read_text().strip()


def commit_stream(
    tree: Path, edits: Edits, *, branch: str = BRANCH, message: str = MESSAGE, parent: str = ""
) -> Iterator[bytes]:
    """The files as one commit, in the format of git fast-import; a root commit where there is no ``parent``."""
    yield b"commit %s\n" % branch.encode()
    yield b"author %s\ncommitter %s\n" % (IDENTITY.encode(), IDENTITY.encode())
    yield b"data %d\n%s" % (len(message), message.encode())
    if parent:
        yield b"from %s\ndeleteall\n" % parent.encode()
    for name in sorted(set(list_files(tree)) | set(edits)):
        path = tree / name
        content = edits[name] if name in edits else _read(path)
        if content is None:
            continue
        mode = b"120000" if path.is_symlink() and name not in edits else b"100755" if _executable(path) else b"100644"
        yield b"M %s inline %s\ndata %d\n%s\n" % (mode, _quote(name), len(content), content)
    yield b"done\n"


def _read(path: Path) -> bytes:
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()


def _executable(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and bool(path.stat().st_mode & stat.S_IXUSR)


def _quote(name: str) -> bytes:
    raw = os.fsencode(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + raw + b'"'


def _escape(path: str) -> str:
    """A path as a line of an exclude file that means this path alone."""
    escaped = "".join("\\" + character if character in "\\*?[]! #" else character for character in path)
    return escaped.replace("\n", "?")
