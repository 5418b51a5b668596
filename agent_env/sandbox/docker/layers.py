"""The lower layers of a Docker sandbox: seen through short links, and owned by the user that runs inside.

A container's user is not the owner of files that root laid, and may then not write to them. So where RepoDojo runs as
root, a layer of root's is copied for the container's user: a small or passing one for each sandbox, another once, kept
in the cache under a name that says what is in it.
"""

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agent_env.errors import SandboxError
from agent_env.sandbox.docker.kept import hold_copy
from agent_env.sandbox.residence import remove_tree, residence_base
from tasks.tree import walk_tree

SMALL_FILES = 20
"""A layer of at most so many files and folders is copied for each sandbox, in a millisecond or two."""


class LaidLayers(NamedTuple):
    """Layers as a container may mount them."""

    places: list[Path]
    """The bottom first."""
    holds: list[int]
    """Descriptors that keep copies in the cache from being removed; close them at the end."""


def lay_layers(layers: Sequence[Path], folder: Path, user: int) -> LaidLayers:
    """Make ``folder/0``, ``folder/1``, ... stand for ``layers``, each owned by ``user``.

    Links, since the kernel takes a page of mount options and gives commas and colons a meaning of their own.
    """
    remove_tree(folder)
    folder.mkdir()
    laid = LaidLayers([], [])
    try:
        _lay(layers, folder, user, laid)
    except BaseException:
        for hold in laid.holds:
            os.close(hold)
        raise
    return laid


def _lay(layers: Sequence[Path], folder: Path, user: int, laid: LaidLayers) -> None:
    for number, layer in enumerate(layers):
        place = folder / str(number)
        if os.geteuid() != 0 or layer.stat().st_uid == user:
            place.symlink_to(layer.absolute())
        else:
            entries = _entries(layer)
            if len(entries) <= SMALL_FILES:
                _copy_small(layer, place, user)
            elif layer.is_relative_to(residence_base()):  # one attempt's, or a snapshot's: gone before long
                _copy(layer, place, user)
            else:
                name = hashlib.sha256("\n".join((str(user), *entries)).encode(errors="surrogateescape")).hexdigest()
                kept, hold = hold_copy(name[:24], layer, partial(_copy, layer, user=user))
                laid.holds.append(hold)
                place.symlink_to(kept)
        laid.places.append(place)


def _entries(layer: Path) -> list[str]:
    """Every file and folder with what tells that it changed."""
    found = []
    for entry in walk_tree(layer):
        status = entry.stat(follow_symlinks=False)
        found.append(f"{entry.path} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
    return sorted(found)


def own(tree: Path, user: int) -> None:
    """Make ``user`` the owner of a tree, where it is not yet."""
    if tree.lstat().st_uid != user:
        _do("chown", "-hR", f"{user}:{user}", "--", str(tree))


def _copy_small(layer: Path, place: Path, user: int) -> None:
    """As ``_copy``, in this process: for few files a tenth of what two programs cost."""
    try:
        shutil.copytree(layer, place, symlinks=True, copy_function=_copy_entry)
        for path in (place, *place.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)
    except OSError as error:  # of which shutil's own error is one
        remove_tree(place)
        raise SandboxError(f"the layer {layer} could not be copied: {error}") from error


def _copy_entry(source: str, target: str) -> None:
    if stat.S_ISCHR(os.lstat(source).st_mode):
        os.mknod(target, stat.S_IFCHR, 0)  # a whiteout; a layer has no other devices
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _copy(layer: Path, place: Path, user: int) -> None:
    try:
        _do("cp", "-a", "--", str(layer), str(place))
        own(place, user)
    except SandboxError:
        remove_tree(place)
        raise


def _do(*command: str) -> None:
    """By the system's tools: they keep whiteouts, attributes and times."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
