"""Copies a sandbox's folders, which hostile code may have written, while nothing in it runs."""

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.residence import remove_tree
from tasks.tree import walk_tree


def copy_files(source: Path, target: Path) -> None:
    """Copy all that is in a folder into an empty one, with owners, permissions, holes and an overlay's marks.

    Raises:
        SandboxError: not all could be read, or there was no room.
    """
    with contextlib.suppress(PermissionError):  # closed itself
        if not any(source.iterdir()):
            return
    said = _copy(source, target)
    if said and os.geteuid() != 0:  # what is closed to its owner is open to root alone
        _empty(target)
        with _opened_up(source, target):
            said = _copy(source, target)
    if said:
        raise SandboxError(f"the files of a sandbox could not be copied: {said[-300:]}")


def _empty(folder: Path) -> None:
    folder.chmod(0o700)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            Path(entry.path).unlink()


def _copy(source: Path, target: Path) -> str:
    """Copy; what went wrong, or nothing."""
    command = ["cp", "-a", "--", f"{source}/.", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return (done.stderr.strip() or f"cp ended with {done.returncode}") if done.returncode != 0 else ""


@contextlib.contextmanager
def _opened_up(source: Path, target: Path) -> Iterator[None]:
    """What is closed to its owner is open meanwhile; afterwards it, and its copy, is as closed as it was."""
    closed: list[tuple[str, int]] = []
    try:
        below = (Path(entry.path) for entry in walk_tree(source))
        for place in chain([source], below):  # a folder comes before anybody looks into it
            mode = place.lstat().st_mode
            needs = 0o700 if stat.S_ISDIR(mode) else 0o400 if stat.S_ISREG(mode) else 0
            if mode & needs != needs:
                closed.append((os.path.relpath(place, source), stat.S_IMODE(mode)))
                place.chmod(stat.S_IMODE(mode) | needs)
        yield
    finally:
        for name, mode in reversed(closed):
            for root in (source, target):
                with contextlib.suppress(OSError):  # there was no room for its copy
                    (root / name).chmod(mode)
