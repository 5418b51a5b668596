"""What changed in an overlay: read by the host from the writable layer, trusting nothing that lies in it.

The kernel writes changed files whole into the upper directory, deletions as character devices 0:0 and replaced folders
with an ``opaque`` attribute (Linux, Documentation/filesystems/overlayfs.rst).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent_env.sandbox.inroot import open_beneath
from tasks.errors import is_of_machine
from tasks.patch import make_patch
from tasks.tree import Edits, list_files

FILE_LIMIT = 16 << 20
"""Largest changed file that is read, in bytes."""

TOTAL_LIMIT = 512 << 20
"""Bytes that are read of all changed files together."""

TOO_LARGE = bytes(FILE_LIMIT + 1)
"""Stands for the content of every file beyond these limits, which would fill the host's memory (a sparse file costs its
writer nothing). Every later rule refuses it for its size."""

_PATH_LIMIT = 4000
"""Bytes of a path; what lies deeper cannot be named in a patch (PATH_MAX, limits.h)."""

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
    """Content of a regular file as the merged layers show it, or None. What is in a layer may be a policy's, of a
    snapshot."""
    parts = path.split("/")
    for layer in reversed(layers):
        place = layer
        is_opaque = False
        for number, part in enumerate(parts, 1):
            place = place / part
            kind = _kind(place)
            if kind is None:
                break  # this layer says nothing about it; and a hostile path may go on for thousands of folders
            if number == len(parts):
                return place.read_bytes() if kind == "file" else None
            if kind != "folder":
                return None  # a whiteout or a file stands where the path needs a folder
            is_opaque = is_opaque or (layer is not layers[0] and _hides_below(place))
        if is_opaque:
            return None  # a folder that was made anew: nothing of the layers below shows in it
    return None


def changed_files(upper: Path, layers: Sequence[Path]) -> dict[str, bytes | None]:
    """Regular files that differ between the merged ``layers`` and the same with ``upper`` on top.

    Symlinks, devices, sockets and everything below a ``.git`` are left out. Safe while hostile processes still write:
    a folder is opened below ``upper`` without following links, and a file in its folder.

    Raises:
        OSError: the machine failed; what it could not read must not pass for unchanged.
    """
    changes: dict[str, bytes | None] = {}
    room = TOTAL_LIMIT
    waiting = [""]
    root = os.open(upper, os.O_PATH | os.O_DIRECTORY)
    try:
        while waiting:
            folder = waiting.pop()
            with _opened(root, folder) as (descriptor, names):
                for name in names:
                    path = f"{folder}/{name}" if folder else name
                    if name == ".git" or len(os.fsencode(path)) > _PATH_LIMIT:
                        continue
                    mode = _mode(descriptor, name)
                    if stat.S_ISDIR(mode):
                        waiting.append(path)
                    elif mode:
                        found = _entry(descriptor, name, path, layers, room)
                        room -= sum(len(content) for content in found.values() if content and content is not TOO_LARGE)
                        changes.update(found)
                if folder and read_through(layers, folder) is not None:
                    changes[folder] = None  # a folder where a file stood
                if folder and _hides_below(Path(f"/proc/self/fd/{descriptor}")):
                    gone = (path for path in _lower_files(layers, folder) if _mode(root, path) == 0)
                    changes.update(dict.fromkeys(gone))
    finally:
        os.close(root)
    return changes


def covered_files(upper: Path, paths: Iterable[str]) -> list[str]:
    """Those of some files of the lower layers that ``upper`` has something in the place of: they were written, moved,
    linked, deleted, or given other rights, whatever they hold now. For a sandbox whose processes are dead.
    """
    folders: dict[str, bool | None] = {"": False}
    return [path for path in paths if _is_covered(upper, path, folders)]


def _is_covered(upper: Path, path: str, folders: dict[str, bool | None]) -> bool:
    parent = path.rpartition("/")[0]
    if parent not in folders:
        folders[parent] = _covers(upper, parent, folders)
    above = folders[parent]
    return _upper_mode(upper / path) != 0 if above is False else bool(above)


def _covers(upper: Path, folder: str, folders: dict[str, bool | None]) -> bool | None:
    """Whether a folder's whole content below is covered; None where ``upper`` says nothing about it."""
    above = folder.rpartition("/")[0]
    if above not in folders:
        folders[above] = _covers(upper, above, folders)
    if folders[above] is not False:
        return folders[above]
    mode = _upper_mode(upper / folder)
    if not mode:
        return None
    return not stat.S_ISDIR(mode) or _hides_below(upper / folder)


def _upper_mode(path: Path) -> int:
    """What lies there, links not followed; 0 for nothing, and as of a file where a folder was closed to us."""
    try:
        return path.lstat().st_mode
    except PermissionError:
        return stat.S_IFREG
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _opened(root: int, folder: str) -> Iterator[tuple[int, list[str]]]:
    """A descriptor of a folder and what is in it; an empty list where it is gone, or closed to us."""
    descriptor = -1
    names: list[str] = []
    try:
        with _unless_of_machine():
            descriptor = open_beneath(root, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
            with os.scandir(descriptor) as entries:
                names = sorted(entry.name for entry in entries)
        yield descriptor, names
    finally:
        if descriptor >= 0:
            os.close(descriptor)


@contextlib.contextmanager
def _unless_of_machine() -> Iterator[None]:
    """Pass over an error that hostile processes can cause: what is read is gone, swapped, or closed to us."""
    try:
        yield
    except OSError as error:
        if is_of_machine(error):
            raise


def _mode(descriptor: int, name: str) -> int:
    """The kind of a directory entry, as in ``st_mode``; 0 where it is gone."""
    mode = 0
    with _unless_of_machine():
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    return mode


def _entry(descriptor: int, name: str, path: str, layers: Sequence[Path], room: int) -> dict[str, bytes | None]:
    """The change that one upper entry stands for, if any."""
    if not stat.S_ISREG(_mode(descriptor, name)):
        # A whiteout, or something that is not a file in the place of what stood below.
        return dict.fromkeys(_lower_files(layers, path))
    with _unless_of_machine():  # gone or swapped since it was listed: a live sandbox
        content = _read(descriptor, name, room)
        below = dict.fromkeys(gone for gone in _lower_files(layers, path) if gone != path)
        return below if content == read_through(layers, path) else {path: content} | below
    return {}


def _read(descriptor: int, name: str, room: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    with os.fdopen(os.open(name, flags, dir_fd=descriptor), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("swapped since it was listed")
        limit = min(FILE_LIMIT, room)
        content = file.read(limit + 1) if os.fstat(file.fileno()).st_size <= limit else TOO_LARGE
        return content if len(content) <= limit else TOO_LARGE


def _hides_below(folder: Path) -> bool:
    """Whether a folder is opaque: what lower layers have in its place does not show."""
    return any(_says_yes(folder, name) for name in _OPAQUE)


def _says_yes(path: Path, attribute: str) -> bool:
    with _unless_of_machine():
        return os.getxattr(path, attribute) == b"y"
    return False


def _lower_files(layers: Sequence[Path], path: str) -> Iterator[str]:
    """The regular files at or below ``path`` that the merged layers show."""
    names: set[str] = set()
    for layer in layers:
        found = _kind_in(layer, path)
        if found == "file":
            names.add(path)
        elif found == "folder":
            names |= {f"{path}/{name}" for name in list_files(layer / path)}
    return (name for name in sorted(names) if read_through(layers, name) is not None)


def _kind_in(layer: Path, path: str) -> str | None:
    """What a layer itself has at a path: links above it are not followed, as they may be a policy's."""
    place = layer
    *above, name = path.split("/")
    for part in above:
        place = place / part
        if _kind(place) != "folder":
            return None
    return _kind(place / name)


def _kind(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def text_diff(changes: Edits, layers: Sequence[Path]) -> str:
    """The changes to files that are text, and were, as a diff against the merged layers."""
    after = {path: content for path, content in changes.items() if content is None or _is_text(content)}
    before = {path: read_through(layers, path) for path in after}
    shown = {path: content for path, content in before.items() if content is None or _is_text(content)}
    return make_patch(shown, {path: after[path] for path in shown})


def _is_text(content: bytes) -> bool:
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
