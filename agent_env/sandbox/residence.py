"""Where sandboxes keep their files on the host, and how what a dead host process left there is removed.

    <base>/<pid>-<start time of that process>/<sandbox name>/{upper,work,tmp,home}

The base is named for the user and for the namespace of the process ids: containers that share the place are let be.

A control group bears the sandbox's name, ``<pid>-<start time>-<number>``, so both are found by the same rule.
"""

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.cgroup import group_folders, remove_group_folder
from agent_env.sandbox.orphans import kill_orphans
from tasks.errors import BadInputError
from tasks.owner import is_owner_alive, owner_name, process_namespace
from tasks.scratch import reap_scratch

_numbers = itertools.count()
_bases: set[Path] = set()
"""Where this process has made residences."""


def making_in(place: Path) -> Path:
    """Where things of a shared place are made, in residences, before they are renamed into it: one folder for each
    process namespace, as processes of another look dead from here."""
    return place / f"making-{process_namespace()}"


def new_residence(base: Path) -> Path:
    """An empty folder for one sandbox of this process; its name is unique on this machine.

    Raises:
        SandboxError: it cannot be made.
    """
    _bases.add(base)
    while True:
        try:
            owner = owner_name()
            folder = base / owner / f"{owner}-{next(_numbers)}"
            folder.mkdir(parents=True, mode=0o700)
        except FileNotFoundError:  # another thread removed the owner's folder as the last one in it
            continue
        except OSError as error:
            raise SandboxError(f"a sandbox's files find no place: {error}; make room there, or set TMPDIR") from error
        return folder


FILES_VARIABLE = "REPODOJO_SANDBOX_FILES"
"""The environment variable that says where sandboxes keep their files: ``memory`` (as if unset) or ``disk``."""


def files_in_memory() -> bool:
    """Whether sandboxes keep their files in memory, as ``FILES_VARIABLE`` says.

    Raises:
        BadInputError: it says something else.
    """
    wanted = os.environ.get(FILES_VARIABLE) or "memory"
    if wanted not in ("memory", "disk"):
        raise BadInputError(f"{FILES_VARIABLE} is {wanted!r}: expected memory or disk")
    return wanted == "memory"


def residence_base() -> Path:
    """Where residences stand: memory-backed where wished, and its filesystem can hold an overlay's upper layer; else in
    the folder for temporary files.
    """
    return _base(in_memory=files_in_memory())


@cache
def _base(*, in_memory: bool) -> Path:
    folder = f"repodojo-{os.getuid()}-{process_namespace()}"
    for base in (*([Path("/dev/shm")] if in_memory else []), Path(tempfile.gettempdir())):
        try:
            (base / folder).mkdir(mode=0o700, exist_ok=True)
            os.setxattr(base / folder, "user.repodojo", b"y", follow_symlinks=False)
        except OSError:  # no extended attributes here
            continue
        if (base / folder).lstat().st_uid == os.getuid():  # and not one that another user laid in wait
            return base / folder
    return Path(tempfile.gettempdir()) / folder


@contextlib.contextmanager
def passing_residence(base: Path) -> Iterator[Path]:
    """An empty folder for as long as the context lasts; a reaper removes it where this process dies in it.

    Raises:
        SandboxError: as for ``new_residence``.
    """
    folder = new_residence(base)
    try:
        yield folder
    finally:
        remove_residence(folder)


def remove_residence(folder: Path) -> None:
    """Remove a sandbox's folder, and its owner's folder if that was the last one."""
    remove_tree(folder)
    try:
        folder.parent.rmdir()
    except OSError:
        return


def remove_tree(folder: Path) -> None:
    """Remove a tree that hostile code may have written: folders without permissions are opened up first.

    By the system's ``rm`` where Python's own walk gives up: a tree may be deeper than a path or a stack can be.
    """
    if not folder.is_symlink() and not folder.exists():
        return
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    with contextlib.suppress(OSError):  # no descriptor or process is to be had: a reaper will remove it
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)


def reap_residences(base: Path) -> int:
    """Remove the folders and control groups of host processes that are dead; returns how many sandboxes they were.

    Their scratch folders go as well.
    """
    kill_orphans()  # they keep their groups
    reap_scratch()
    reaped = reap_folders(base)
    for group in group_folders():
        if not is_owner_alive(group.name):
            reaped.add(group.name)
            remove_group_folder(group)
    return len(reaped)


def reap_folders(base: Path) -> set[str]:
    """Remove the folders of host processes that are dead; their names."""
    reaped = set()
    for owner in base.iterdir() if base.is_dir() else ():
        if not is_owner_alive(owner.name):
            with contextlib.suppress(FileNotFoundError):  # another reaper was first
                reaped |= {child.name for child in owner.iterdir()}
            remove_tree(owner)
    return reaped


@atexit.register
def _remove_own() -> None:
    """An orderly end leaves nothing, also of what was forgotten or could not be removed when it was let go of."""
    for base in _bases:
        remove_tree(base / owner_name())
