"""Mounts that the host puts into a running container: the overlay of a task, and folders of the sandbox's residence.

They are made here, attached nowhere (fsopen(2), open_tree(2)), and then moved into the container's mount namespace by a
thread that enters it. So a container can be started before it is known what it is for, nothing is ever mounted on the
host, and what was mounted goes with the container's last process. Nothing inside needs, or gets, a capability for it.
"""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
"""Numbers of the system calls: the same on every processor (Linux 5.2)."""

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_AT_FDCWD = -100
_CLOEXEC, _OPEN_TREE_CLONE, _FROM_DESCRIPTOR = 0x80000, 0x1, 0x4
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_NOSUID_NODEV = 0x6
_NO_SETUID_NO_DEVICES, _RECURSIVE, _SLAVE = 2 | 4, 0x4000, 1 << 19

_CAP_SYS_CHROOT, _CAP_SYS_ADMIN = 18, 21

_libc = ctypes.CDLL(None, use_errno=True)

_T = TypeVar("_T")


def may_mount() -> bool:
    """Whether this process has the privileges for it: root's, not taken away by a container that we are in."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = int(status["CapEff"], 16)
    return os.geteuid() == 0 and all(held >> capability & 1 for capability in (_CAP_SYS_CHROOT, _CAP_SYS_ADMIN))


class Held(NamedTuple):
    """Descriptors of a folder on which a filesystem was mounted, and of the mount namespace in which it was; both are
    the caller's."""

    folder: int
    namespace: int


@cache
def holds_quotas() -> bool:
    """Whether a memory filesystem with a quota can be mounted and take an overlay's marks (Linux 6.6)."""
    if not may_mount():
        return False
    try:
        held = mount_memory(Path("/usr"), "size=64k,mode=700")  # a folder that is there for certain; only we see this
    except SandboxError:
        return False
    try:
        os.setxattr(f"/proc/self/fd/{held.folder}", "user.repodojo", b"y")
    except OSError:
        return False
    finally:
        for descriptor in held:
            os.close(descriptor)
    return True


def mount_memory(folder: Path, options: str) -> Held:
    """Mount a memory filesystem on a folder, in a mount namespace of its own: the host's table of mounts stays as it
    is, and what is in it is gone when the last descriptor and the last mount elsewhere are.

    Args:
        options: as in filesystems/tmpfs.rst.

    Raises:
        SandboxError: the kernel refused.
    """

    def work() -> Held:
        _check(_libc.unshare(_CLONE_NEWNS), "unshare")
        _check(_libc.mount(b"none", b"/", None, _RECURSIVE | _SLAVE, None), "mount")
        _check(
            _libc.mount(b"repodojo", os.fsencode(folder), b"tmpfs", _NO_SETUID_NO_DEVICES, options.encode()), "mount"
        )
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            return Held(descriptor, os.open("/proc/thread-self/ns/mnt", os.O_RDONLY))
        except BaseException:
            os.close(descriptor)
            raise

    return _in_thread(work, "a sandbox's files find no place")


def mount_into(
    pid: int, folder: Path, namespace: int | None, *, files: str, lower: Sequence[str], binds: Mapping[str, str]
) -> None:
    """Mount an overlay on ``WORK_DIR``, and folders, in the mount namespace of a process.

    Args:
        pid: the process; the caller makes sure that it is still the same one afterwards.
        folder: the residence.
        namespace: the mount namespace in which ``files`` has a mount of its own, if it has one.
        files: the folder in it in which the writable folders lie.
        lower: the overlay's lower layers by name in ``folder``, the top first.
        binds: target inside to name in ``files``.

    Raises:
        SandboxError: the kernel refused.
    """

    def work() -> None:
        opened = [os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)]
        try:
            _check(_libc.unshare(_CLONE_FS), "unshare")
            if namespace is not None:
                _check(_libc.setns(namespace, _CLONE_NEWNS), "setns")
            os.chdir(
                folder
            )  # short relative paths: the kernel takes 255 bytes a value, and colons mean something there
            _mount(opened, files, lower, binds)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    _in_thread(work, "the work tree could not be mounted into a container")


def _in_thread(work: Callable[[], _T], failure: str) -> _T:
    """Do it in a thread of its own: it leaves this process's idea of root and current directory for good.

    Raises:
        SandboxError: it raised an OSError; the message begins with ``failure``.
    """
    with ThreadPoolExecutor(1, "repodojo-mount") as thread:
        try:
            return thread.submit(work).result()
        except OSError as error:
            raise SandboxError(f"{failure}: {error}") from error


def _mount(opened: list[int], files: str, lower: Sequence[str], binds: Mapping[str, str]) -> None:
    """Make the mounts in this thread's namespace, then enter that of the first descriptor, and move them there; further
    descriptors are added."""
    mounts = {WORK_DIR: _overlay(":".join(lower), files, opened)}
    for target, name in binds.items():
        path = f"{files}/{name}".encode()
        mounts[target] = _call(_OPEN_TREE, _AT_FDCWD, path, _OPEN_TREE_CLONE | _CLOEXEC)
        opened.append(mounts[target])
    _check(_libc.setns(opened[0], _CLONE_NEWNS), "setns")
    for target, mount in mounts.items():
        _call(_MOVE_MOUNT, mount, b"", _AT_FDCWD, target.encode(), _FROM_DESCRIPTOR)


def _overlay(lower: str, files: str, opened: list[int]) -> int:
    """A detached overlay; its descriptors are added to ``opened``."""
    context = _call(_FSOPEN, b"overlay", 1)
    opened.append(context)
    for name, value in (("lowerdir", lower), ("upperdir", f"{files}/upper"), ("workdir", f"{files}/work")):
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
