"""A git history made out of plain files: the same files and dates give the same commit ids, on every machine.

The files go in through ``git fast-import``, byte for byte: no attribute, filter or ignore rule of theirs applies.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from env_builder.errors import SourceError
from env_builder.snapshot import TreeFile
from tasks.errors import InfraError

AUTHOR = b"RepoDojo <repodojo@localhost>"
"""Author and committer of every synthetic commit."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One commit to make, on top of the one before."""

    version: str | None
    """Tag to set on it, or None."""
    subject: str
    when: datetime
    files: Sequence[TreeFile]
    """The whole tree."""


def write_history(git_dir: Path, steps: Iterable[Step]) -> None:
    """Make a bare repository in ``git_dir`` (an empty directory) with one commit a step on the branch ``main``.

    Raises:
        InfraError: git failed, as on a full disk.
    """
    _call(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(git_dir)])
    stream = b"".join(part for step in steps for part in _commit(step))
    _call(["git", "--git-dir", str(git_dir), "fast-import", "--quiet", "--done"], stream + b"done\n")


def _commit(step: Step) -> Iterator[bytes]:
    stamp = b"%s %d +0000" % (AUTHOR, int(step.when.timestamp()))
    yield b"commit refs/heads/main\nauthor %s\ncommitter %s\n%s" % (stamp, stamp, _data(step.subject.encode()))
    yield b"deleteall\n"
    for file in step.files:
        yield b"M %o inline %s\n%s" % (file.mode, _quoted(file.path), _data(file.content))
    if step.version is not None:
        yield b"reset refs/tags/%s\nfrom refs/heads/main\n\n" % step.version.encode()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    try:
        raw = path.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"the file name {path!r} is not UTF-8") from error
    return b'"%s"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def _call(command: list[str], stream: bytes = b"") -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    done = subprocess.run(command, input=stream, capture_output=True, env=environment, check=False)
    if done.returncode:
        raise InfraError(f"{' '.join(command[:3])} failed: {done.stderr.decode(errors='replace').strip()}")
