"""Copies a sandbox's folders, which hostile code may have written, while nothing in it runs."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.residence import remove_tree

_CLOSED = ["(", "-type", "d", "!", "-perm", "-u=rwx", "-o", "-type", "f", "!", "-perm", "-u=r", ")"]
"""For ``find``: what its owner cannot copy."""


def copy_files(source: Path, target: Path) -> None:
    """Copy all that is in a folder into an empty one, with owners, permissions, holes and an overlay's marks.

    Raises:
        SandboxError: not all could be read, or there was no room.
    """
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
    opening = ["find", f"{source}/.", *_CLOSED, "-printf", "%m %P\\0", "-exec", "chmod", "u+rwX", "--", "{}", ";"]
    done = subprocess.run(opening, capture_output=True, check=False)  # it opens a folder before it looks into it
    closed = [entry.partition(b" ") for entry in done.stdout.split(b"\0")[:-1]]
    try:
        yield
    finally:
        for mode, _, name in reversed(closed):
            for root in (source, target):
                with contextlib.suppress(OSError):  # no room for it, or deeper than a path can name
                    (root / os.fsdecode(name)).chmod(int(mode, 8))
