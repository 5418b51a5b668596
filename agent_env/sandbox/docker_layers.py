"""The lower layers of a Docker sandbox: seen through short links, and owned by the user that runs inside.

A container's user is not the owner of files that root laid, and may then not write to them. So where RepoDojo runs as
root, a layer of root's is copied for the container's user: a small one for each sandbox, a large one once, kept in the
cache under a name that says what is in it.
"""

import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from agent_env.errors import SandboxError
from tasks.home import home

SMALL_FILES = 300
"""A layer of at most so many files and folders is copied for each sandbox: a few milliseconds."""


def lay_layers(layers: Sequence[Path], folder: Path, user: int) -> list[Path]:
    """Make ``folder/0``, ``folder/1``, ... stand for ``layers``, each owned by ``user``; returns them.

    Links, since the kernel takes a page of mount options and gives commas and colons a meaning of their own.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = []
    for number, layer in enumerate(layers):
        place = folder / str(number)
        if os.geteuid() != 0 or layer.stat().st_uid == user:
            place.symlink_to(layer.absolute())
        else:
            entries = _entries(layer)
            if len(entries) <= SMALL_FILES:
                _copy(layer, place, user)
            else:
                place.symlink_to(_kept_copy(layer, entries, user))
        found.append(place)
    return found


def _entries(layer: Path) -> list[str]:
    """Every file and folder with what tells that it changed."""
    found = []
    for folder, names, files in os.walk(layer):
        for name in (*names, *files):
            status = (Path(folder) / name).lstat()
            found.append(f"{folder}/{name} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
    return sorted(found)


def _kept_copy(layer: Path, entries: Sequence[str], user: int) -> Path:
    """A copy in the cache, made where it is not there yet."""
    name = hashlib.sha256("\n".join((str(user), *entries)).encode(errors="surrogateescape")).hexdigest()[:24]
    place = home() / "owned" / name
    if not place.is_dir():
        beside = place.with_name(f"{name}.{uuid.uuid4().hex}")
        beside.parent.mkdir(parents=True, exist_ok=True)
        _copy(layer, beside, user)
        try:
            beside.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(beside)
    return place


def own(tree: Path, user: int) -> None:
    """Make ``user`` the owner of a tree, where it is not yet."""
    if tree.lstat().st_uid != user:
        _do("chown", "-hR", f"{user}:{user}", "--", str(tree))


def _copy(layer: Path, place: Path, user: int) -> None:
    try:
        _do("cp", "-a", "--", str(layer), str(place))
        own(place, user)
    except SandboxError:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _do(*command: str) -> None:
    """By the system's tools: they keep whiteouts, attributes and times."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
