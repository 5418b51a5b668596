"""Mounts that the host puts into a running container: the overlay of a task, and folders of the sandbox's residence.

They are made here, attached nowhere (fsopen(2), open_tree(2)), and then moved into the container's mount namespace by a
thread that enters it. So a container can be started before it is known what it is for, nothing is ever mounted on the
host, and what was mounted goes with the container's last process. Nothing inside needs, or gets, a capability for it.
"""

import ctypes
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
"""Numbers of the system calls: the same on every processor (Linux 5.2)."""

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_AT_FDCWD = -100
_CLOEXEC, _OPEN_TREE_CLONE, _FROM_DESCRIPTOR = 0x80000, 0x1, 0x4
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_NOSUID_NODEV = 0x6

_CAP_SYS_CHROOT, _CAP_SYS_ADMIN = 18, 21

_libc = ctypes.CDLL(None, use_errno=True)


def may_mount() -> bool:
    """Whether this process has the privileges for it: root's, not taken away by a container that we are in."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = int(status["CapEff"], 16)
    return os.geteuid() == 0 and all(held >> capability & 1 for capability in (_CAP_SYS_CHROOT, _CAP_SYS_ADMIN))


def mount_into(pid: int, folder: Path, *, lower: Sequence[str], binds: Mapping[str, str]) -> None:
    """Mount an overlay on ``WORK_DIR``, and folders, in the mount namespace of a process.

    Args:
        pid: the process; the caller makes sure that it is still the same one afterwards.
        folder: the residence; ``upper`` and ``work`` lie in it.
        lower: the overlay's lower layers by name in ``folder``, the top first.
        binds: target inside to name in ``folder``.

    Raises:
        SandboxError: the kernel refused.
    """
    failures: list[OSError] = []

    def work() -> None:
        try:
            _mount(pid, folder, lower, binds)
        except OSError as error:
            failures.append(error)

    # A thread of its own: it leaves this process's idea of root and current directory for good.
    thread = threading.Thread(target=work, name="repodojo-mount")
    thread.start()
    thread.join()
    if failures:
        raise SandboxError(f"the work tree could not be mounted into a container: {failures[0]}") from failures[0]


def _mount(pid: int, folder: Path, lower: Sequence[str], binds: Mapping[str, str]) -> None:
    opened = [os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)]
    try:
        _check(_libc.unshare(_CLONE_FS), "unshare")
        os.chdir(folder)  # short relative paths: the kernel takes 255 bytes a value, and colons mean something in them
        mounts = {WORK_DIR: _overlay(":".join(lower), opened)}
        for target, name in binds.items():
            mounts[target] = _call(_OPEN_TREE, _AT_FDCWD, name.encode(), _OPEN_TREE_CLONE | _CLOEXEC)
            opened.append(mounts[target])
        _check(_libc.setns(opened[0], _CLONE_NEWNS), "setns")
        for target, mount in mounts.items():
            _call(_MOVE_MOUNT, mount, b"", _AT_FDCWD, target.encode(), _FROM_DESCRIPTOR)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _overlay(lower: str, opened: list[int]) -> int:
    """A detached overlay; its descriptors are added to ``opened``."""
    context = _call(_FSOPEN, b"overlay", 1)
    opened.append(context)
    for name, value in (("lowerdir", lower), ("upperdir", "upper"), ("workdir", "work")):
        _call(_FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0)
    _call(_FSCONFIG, context, _SET_FLAG, b"userxattr", None, 0)
    _call(_FSCONFIG, context, _CREATE, None, None, 0)
    mount = _call(_FSMOUNT, context, 1, _NOSUID_NODEV)
    opened.append(mount)
    return mount


def _call(number: int, *arguments: int | bytes | None) -> int:
    return _check(_libc.syscall(number, *arguments), f"system call {number} {arguments}")


def _check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)
    return result
