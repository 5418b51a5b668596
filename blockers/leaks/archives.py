"""Packed Python source in a sandbox's root: wheels, eggs, zips and tars, which anyone there may unpack."""

import io
import tarfile
import zipfile
from collections.abc import Collection, Iterator

from blockers.leaks.texts import BROKEN_ARCHIVE, Document, read_document

NAMES = ("whl", "egg", "zip", "pyz", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz")
"""How the names of archives end."""


def python_members(path: str, content: bytes) -> Iterator[Document]:
    """The texts of an archive's members, if it holds Python source; else nothing."""
    if any(name.endswith((".py", ".pyi")) for name in _names(content)):
        yield from read_document(path, content)


def lines_in(documents: Collection[Document], lines: Collection[str]) -> dict[str, dict[str, int]]:
    """By text, by line: the number of its first place, for those lines that stand there whole."""
    found: dict[str, dict[str, int]] = {}
    for document in documents:
        for number, line in enumerate(document.text.splitlines(), 1):
            if line.strip() in lines:
                found.setdefault(document.path.replace("!", "!/"), {}).setdefault(line.strip(), number)
    return found


def _names(content: bytes) -> list[str]:
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return archive.namelist()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return tar.getnames()
    except BROKEN_ARCHIVE:
        return []
