"""What changed in an overlay: read by the host from the writable layer, trusting nothing that lies in it.

The kernel writes changed files whole into the upper directory, deletions as character devices 0:0 and replaced folders
with an ``opaque`` attribute (Linux, Documentation/filesystems/overlayfs.rst).
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from tasks.tree import Edits, list_files

FILE_LIMIT = 16 << 20
"""Bytes of one changed file that are read; a larger file is cut here, which every later rule refuses for its size."""

_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")


def lay_edits(edits: Edits, layer: Path) -> None:
    """Write edits into a layer directory: content as files, deletions as whiteouts."""
    for path, content in edits.items():
        target = layer / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            os.mknod(target, stat.S_IFCHR, 0)
        else:
            target.write_bytes(content)


def read_through(layers: Sequence[Path], path: str) -> bytes | None:
    """Content of a regular file as the merged layers show it, or None. The layers are the host's own and trusted."""
    for layer in reversed(layers):
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            if _kind(layer / parent) not in (None, "folder"):
                return None  # a whiteout or a file stands where the path needs a folder
        found = _kind(layer / path)
        if found is not None:
            return (layer / path).read_bytes() if found == "file" else None
    return None


def changed_files(upper: Path, layers: Sequence[Path]) -> dict[str, bytes | None]:
    """Regular files that differ between the merged ``layers`` and the same with ``upper`` on top.

    Symlinks, devices, sockets and everything below a ``.git`` are left out. Safe while hostile processes still write:
    folders are entered by descriptor and files opened without following links.
    """
    changes: dict[str, bytes | None] = {}
    for folder, names, files, descriptor in os.fwalk(upper, follow_symlinks=False):
        relative = PurePosixPath(folder).relative_to(PurePosixPath(upper))
        if any(part == ".git" for part in relative.parts):
            names.clear()
            continue
        for name in files:
            path = (relative / name).as_posix()
            if name != ".git":
                changes.update(_entry(descriptor, name, path, layers))
        if relative.parts and _is_opaque(descriptor):
            changes.update({path: None for path in _lower_files(layers, relative.as_posix()) if path not in changes})
    return changes


def _entry(descriptor: int, name: str, path: str, layers: Sequence[Path]) -> dict[str, bytes | None]:
    """The change that one upper entry stands for, if any."""
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            content = _read(descriptor, name)
            return {} if content == read_through(layers, path) else {path: content}
    except OSError:
        return {}  # gone or swapped since it was listed: a live sandbox
    # A whiteout, or something that is not a file in the place of what stood below.
    return {gone: None for gone in _lower_files(layers, path)}


def _read(descriptor: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(name, flags, dir_fd=descriptor), "rb") as file:
        return file.read(FILE_LIMIT + 1)


def _is_opaque(descriptor: int) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(f"/proc/self/fd/{descriptor}", name) == b"y":
                return True
        except OSError:
            continue
    return False


def _lower_files(layers: Sequence[Path], path: str) -> Iterator[str]:
    """The regular files at or below ``path`` that the merged layers show."""
    names: set[str] = set()
    for layer in layers:
        found = _kind(layer / path)
        if found == "file":
            names.add(path)
        elif found == "folder":
            names |= {f"{path}/{name}" for name in list_files(layer / path)}
    return (name for name in sorted(names) if read_through(layers, name) is not None)


def _kind(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"
