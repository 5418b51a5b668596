"""Source trees as archives and digests: the same bytes in, the same archive and digest out."""

import gzip
import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from tasks.errors import BadInputError, raise_if_of_machine

Edits = Mapping[str, bytes | None]
"""Changed files on top of a tree: relative POSIX path to new content, or None where the file is gone."""


def list_files(root: Path) -> list[str]:
    """Relative POSIX paths of all regular files and symlinks below ``root``, sorted; ``.git`` is left out.

    Raises:
        OSError: the machine failed. A folder that is absent or closed to us counts as empty.
    """
    above = len(str(root).rstrip("/")) + 1
    entries = walk_tree(root, leave_out=(".git",))
    return sorted(entry.path[above:] for entry in entries if not entry.is_dir(follow_symlinks=False))


def walk_tree(root: Path, *, leave_out: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """All that lies below ``root``, folders too, in no order; links are not followed.

    ``os.walk`` calls itself for each folder (before Python 3.12), and a policy may nest more than a stack bears.
    What lies deeper than a path can name is left out.

    Args:
        leave_out: names that are passed over, with what lies below them.

    Raises:
        OSError: as for ``list_files``.
    """
    waiting = [str(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = [entry for entry in entries if entry.name not in leave_out]
        except OSError as error:
            raise_if_of_machine(error)
            continue
        waiting += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        yield from found


def tree_digest(root: Path, edits: Edits | None = None) -> str:
    """SHA-256 (hex) over path, kind, executable bit and content of every file of ``root`` with ``edits`` laid over."""
    edits = edits or {}
    total = hashlib.sha256()
    for name in sorted(set(list_files(root)) | set(edits)):
        path = root / name
        if name in edits:
            content = edits[name]
            if content is None:
                continue
            kind = b"x" if path.is_file() and os.access(path, os.X_OK) else b"f"
        elif path.is_symlink():
            kind, content = b"l", os.fsencode(path.readlink())
        else:
            kind, content = b"x" if path.stat().st_mode & stat.S_IXUSR else b"f", path.read_bytes()
        total.update(b"%s\0%s\0%s\0" % (name.encode(), kind, hashlib.sha256(content).digest()))
    return total.hexdigest()


def pack_tree(root: Path) -> bytes:
    """A reproducible ``tar.gz`` of ``root``: sorted names, no times, no owners."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in list_files(root):
            info = tar.gettarinfo(str(root / name), arcname=name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode = 0o755 if info.mode & 0o100 else 0o644
            if info.islnk():  # a second name of one inode: stored as a file of its own
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", (root / name).stat().st_size
            with (root / name).open("rb") if info.isreg() else io.BytesIO() as content:
                tar.addfile(info, content if info.isreg() else None)
    return raw.getvalue()


def unpack_tree(archive: bytes, root: Path) -> None:
    """Unpack what ``pack_tree`` made into ``root``.

    Raises:
        BadInputError: a member would land outside ``root`` or is not a file or symlink.
    """
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        members = tar.getmembers()
        for member in members:
            path = PurePosixPath(member.name)
            plain = member.isreg() or (member.issym() and not _leaves(member))
            if path.is_absolute() or ".." in path.parts or not plain:
                raise BadInputError(f"archive member {member.name!r} is not a plain file inside the tree")
        for member in sorted(members, key=tarfile.TarInfo.issym):  # links last, so that nothing is written through one
            target = root / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                target.symlink_to(member.linkname)
                continue
            target.write_bytes(content.read())
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _leaves(link: tarfile.TarInfo) -> bool:
    """Whether a symlink points out of the tree."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.linkname))
    return target.startswith(("/", "../")) or target == ".."
