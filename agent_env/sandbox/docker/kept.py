"""Copies of large layers that are kept in the cache: made once, shared by sandboxes, removed when of no more use.

<home>/owned/<name>         the copy; the name says what is in it and whose it is
<home>/owned/<name>.used    the path of the layer; locked (flock) by each sandbox that stands on the copy, and as
                            old as the last use
<home>/owned/making-NAMESPACE/
                            copies under way, in folders of the processes that make them
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from agent_env.sandbox.residence import making_in, passing_residence, reap_folders, remove_tree
from tasks.home import home

KEEP_SECONDS = 7 * 86400.0
"""How long a copy stays that nobody uses, while the layer that it was made from is still there."""


def hold_copy(name: str, layer: Path, copy: Callable[[Path], None]) -> tuple[Path, int]:
    """The copy of that name, made by ``copy`` (which is told where to) if there is none yet.

    Returns:
        Where it is, and a descriptor; the copy stays at least until that is closed.
    """
    place = _base() / name
    hold = _lock(place, layer)
    try:
        if not place.is_dir():
            with passing_residence(making_in(_base())) as folder:
                copy(folder / "tree")
                with contextlib.suppress(OSError):  # another process was first
                    (folder / "tree").rename(place)
    except BaseException:
        os.close(hold)
        raise
    return place, hold


def reap_copies() -> int:
    """Remove the copies that nobody uses and whose layer is gone, or that nobody has used for long; how many."""
    reaped = len(reap_folders(making_in(_base())))
    for place in _base().iterdir() if _base().is_dir() else ():
        used = place.with_name(f"{place.name}.used")
        if place.is_dir() and not place.name.startswith("making") and not used.exists():
            used.touch()  # of an earlier version, which did not note its use: goes under the lock, as all others do
    for used in _base().glob("*.used"):
        if not _is_useless(used):
            continue
        with contextlib.suppress(OSError):  # in use, or another reaper is at it
            descriptor = os.open(used, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_nlink:  # else another reaper was first, and the name may be in use again
                    remove_tree(used.with_suffix(""))
                    used.unlink()
                    reaped += 1
            finally:
                os.close(descriptor)
    return reaped


def _base() -> Path:
    return home() / "owned"


def _lock(place: Path, layer: Path) -> int:
    place.parent.mkdir(parents=True, exist_ok=True)
    used = place.with_name(f"{place.name}.used")
    while True:
        descriptor = os.open(used, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            os.pwrite(descriptor, os.fsencode(layer.absolute()), 0)
            os.utime(descriptor)
            return descriptor
        os.close(descriptor)  # a reaper removed it while we waited


def _is_useless(used: Path) -> bool:
    try:
        layer, last = os.fsdecode(used.read_bytes()), used.stat().st_mtime
    except FileNotFoundError:
        return False
    # Empty: who made it was killed before it could write. One that is about to holds the lock.
    return not layer or not Path(layer).is_dir() or last < time.time() - KEEP_SECONDS
