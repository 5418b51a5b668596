"""Open a path inside another process's root without ever leaving it: ``openat2`` with RESOLVE_IN_ROOT (Linux 5.6).

Absolute paths and symlinks, and ``..``, are resolved against that root, so a hostile link cannot lead to the host's
files.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import PurePosixPath

READ_LIMIT = 64 << 20
"""Largest file that is read, in bytes: a sparse file costs its owner nothing and would fill the host's memory."""

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH, _RESOLVE_IN_ROOT = 0x02, 0x04, 0x08, 0x10

_KERNEL_FILES = frozenset({0x9FA0, 0x62656572, 0x27E0EB, 0x63677270})
"""Filesystems by their numbers, as in ``linux/magic.h``: proc, sysfs, control groups of both versions."""

_STATUS_ROOM = 128
"""Bytes, more than ``struct statfs`` has."""

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """A descriptor of ``path`` inside the directory ``root``; errors as for ``os.open``."""
    return _openat2(root, path, flags, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)


def open_beneath(root: int, path: str, flags: int) -> int:
    """A descriptor of a relative ``path`` below the directory ``root``, through no link at all."""
    return _openat2(root, path, flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)


def _openat2(root: int, path: str, flags: int, mode: int, resolve: int) -> int:
    if "\0" in path:  # the kernel would take what stands before it for the whole
        raise ValueError(f"a path must not hold a NUL byte: {path!r}")
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    descriptor = _libc.syscall(_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)
    return int(descriptor)


def read_in_root(root: int, path: str, *, user: int | None = None) -> bytes:
    """Content of a regular file; a device, a pipe, a socket and a file of the kernel's are a PermissionError.

    Args:
        user: whose permissions count; this process's own where None.
    """
    with _file_user(user), os.fdopen(_open_regular(root, path, os.O_RDONLY), "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > READ_LIMIT:
            raise OSError(errno.EFBIG, f"the file is larger than the {READ_LIMIT >> 20} MiB that are read", path)
        return _read_up_to(file.fileno(), READ_LIMIT)


def write_in_root(root: int, path: str, data: bytes, *, user: int | None = None) -> None:
    """Write a regular file, making the folders above it; what is new belongs to ``user``, else as for reading. One that
    was there keeps its content where there is no room for the new one."""
    with _file_user(user):
        make_folders_in_root(root, str(PurePosixPath(path).parent))
        try:
            descriptor = _open_regular(root, path, os.O_WRONLY)
        except FileNotFoundError:
            descriptor = _create(root, path)
        with os.fdopen(descriptor, "wb") as file:
            _make_room(descriptor, len(data))
            file.write(data)
            file.truncate()


def _make_room(descriptor: int, size: int) -> None:
    """Claim the room for so many bytes before any of the old ones is lost."""
    before = os.fstat(descriptor).st_size
    try:
        if size:
            os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def _open_regular(root: int, path: str, flags: int) -> int:
    """A descriptor of a regular file that is there.

    What it is is known before it is opened: to open a terminal whose other end the sandbox holds would fail as a broken
    disk does, or make it the host's controlling terminal, by which the sandbox could send signals to the host.
    """
    place = open_in_root(root, path, os.O_PATH)
    try:
        _require_regular(place, path)
        return os.open(f"/proc/self/fd/{place}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        os.close(place)


def _create(root: int, path: str, links: int = 8) -> int:
    """A descriptor of a new file, or of what a link that leads to nothing points to; opens nothing that is there."""
    try:
        return open_in_root(root, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        if not links:
            raise
        link = open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        target = os.readlink("", dir_fd=link)
    finally:
        os.close(link)
    return _create(root, str(PurePosixPath(path).parent / target), links - 1)


def make_folders_in_root(root: int, path: str) -> None:
    """Make a folder and those above it."""
    above = PurePosixPath("/")
    for name in PurePosixPath(path).parts:
        if name == "/":
            continue
        try:
            descriptor = open_in_root(root, str(above / name), os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            parent = open_in_root(root, str(above), os.O_PATH | os.O_DIRECTORY)
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=parent)
            finally:
                os.close(parent)
        else:
            os.close(descriptor)
        above /= name


@contextlib.contextmanager
def _file_user(user: int | None) -> Iterator[None]:
    """Touch files as ``user`` does, in this thread alone (setfsuid(2)); root's powers over files are gone meanwhile."""
    if user is None:
        yield
        return
    _libc.setfsgid(user)
    _libc.setfsuid(user)
    try:
        yield
    finally:
        _libc.setfsuid(os.geteuid())
        _libc.setfsgid(os.getegid())


def _read_up_to(descriptor: int, limit: int) -> bytes:
    """Content up to ``limit`` bytes; a file that grows while it is read is cut there."""
    parts = []
    while limit > 0 and (part := os.read(descriptor, min(limit, 1 << 20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _require_regular(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a directory")
    if not stat.S_ISREG(mode):
        raise PermissionError(f"{path} is not a regular file")
    if _is_of_kernel(descriptor):
        # It answers by who asks, which is the host here; and /proc/1/mem fails as a broken disk does.
        raise PermissionError(f"{path} is the kernel's, and only commands get at it")


def _is_of_kernel(descriptor: int) -> bool:
    """Whether a file is made up by the kernel while it is read."""
    status = ctypes.create_string_buffer(_STATUS_ROOM)
    if _libc.fstatfs(descriptor, status) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return ctypes.c_long.from_buffer(status).value in _KERNEL_FILES
