"""Files that were downloaded before, on the host's disk, named by what is in them.

A file is only ever given out after its content was hashed, so neither a broken download nor a changed file is served.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CACHE_BYTES = 4 << 30
"""What the cache may hold; the files used longest ago go first."""


class ContentError(Exception):
    """Content that is not what its hash says, or longer than allowed."""


class FileCache:
    """See the module; safe to use from several processes."""

    def __init__(self, folder: Path, *, limit: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, sha256: str) -> BinaryIO | None:
        """The file with that hash, or None."""
        path = self._folder / sha256
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            file.close()
            path.unlink(missing_ok=True)
            return None
        file.seek(0)
        with contextlib.suppress(OSError):
            os.utime(path)
        return file

    def add(self, sha256: str, parts: Iterator[bytes], *, limit: int) -> BinaryIO:
        """Keep a file and open it.

        Raises:
            ContentError: the parts do not have that hash, or are more than ``limit`` bytes.
        """
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="part-") as file:
            for part in parts:
                size += len(part)
                if size > limit:
                    raise ContentError(f"the file is larger than {limit} bytes")
                digest.update(part)
                file.write(part)
            if digest.hexdigest() != sha256:
                raise ContentError("the content does not have the hash that the index names")
            file.flush()
            opened = Path(file.name).open("rb")  # noqa: SIM115 - the caller closes it
            with contextlib.suppress(FileExistsError):  # another was first
                os.link(file.name, self._folder / sha256)
        self._prune()
        return opened

    def _prune(self) -> None:
        stamped = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                stamped.append((status.st_mtime, status.st_size, path))
        left = sum(size for _, size, _ in stamped)
        for _, size, path in sorted(stamped):
            if left <= self._limit:
                return
            path.unlink(missing_ok=True)
            left -= size
