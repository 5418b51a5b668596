"""The texts of a directory as a leak audit reads them: every file, members of archives and strings of binaries too.

A line is compared in its normal form: without blanks, without what quoting, commenting, diffing or JSON puts around it.
So a line of code is found again in a patch, a notebook, a doctest, a comment, a built HTML page or a compiled module.

Not seen through: encryption, base64 and the like, archives in archives, formats that compress inside (PDF, images).
"""

import bz2
import gzip
import html
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.errors import raise_if_of_machine

MAX_BYTES = 32 << 20
"""Largest file, archive member or unpacked stream that is read; what lies beyond is not seen."""

REPOSITORIES = (".git", ".hg", ".svn")
"""Version control: audited by other means, and never expected in a directory that this audit reads."""

_LEGAL = re.compile(r"(^|/)(licen[cs]e|copying|notice|copyright|unlicense)[^/]*$|/licen[cs]es/", re.IGNORECASE)
"""Words that thousands of projects share, and that a new source file may begin with: never an answer."""

_TAG = re.compile(r"<[^<>]*>")
_SECTION = re.compile(r"^\[.*\]$", re.MULTILINE)
"""A heading in a package's list of entry points: the name of a convention (``console_scripts``), nobody's own."""
_INLINE = re.compile(r"`([^`]+)`")
_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e]{6,}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{4,}")
_STREAMS: dict[bytes, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZ": bz2.BZ2File,
    b"\xfd7": lzma.LZMAFile,
}
BROKEN_ARCHIVE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
)

_BEFORE = ">+-#*|\"'`$.!"
_AFTER = "\"'`,|\\"


class Document(NamedTuple):
    """One text to search."""

    path: str
    """Relative path; a member of an archive is ``ARCHIVE!MEMBER``."""
    text: str
    compiled: bool
    """Whether the text is the strings of a binary file: its lines have no numbers."""


def documents(root: Path) -> Iterator[Document]:
    """All texts below ``root``. Symlinks are not followed; a repository (``.git``) is one empty text, not entered.

    Raises:
        OSError: the machine failed, so that not all could be read.
    """
    for folder, folders, files in os.walk(root, onerror=raise_if_of_machine):
        for name in sorted(files + [name for name in folders if name in REPOSITORIES]):
            path = Path(folder) / name
            if name in REPOSITORIES:
                yield Document(path.relative_to(root).as_posix(), "", True)
            elif path.is_file() and not path.is_symlink() and not _is_packers(path):
                with path.open("rb") as file:
                    yield from read_document(path.relative_to(root).as_posix(), file.read(MAX_BYTES))
        folders[:] = sorted(name for name in folders if name not in REPOSITORIES)


def _is_packers(path: Path) -> bool:
    """Whether a file is a record that only the packing or the installing tool writes, of itself."""
    return path.name in ("WHEEL", "INSTALLER", "REQUESTED") and path.parent.suffix == ".dist-info"


def read_document(path: str, content: bytes) -> Iterator[Document]:
    """The texts of one file: its own, or those of an archive's members."""
    try:
        members = list(_members(content))
    except BROKEN_ARCHIVE:
        members = []
    if members:
        yield Document(path, "", True)
        for name, inner in members:
            yield _document(f"{path}!{name}", inner)
    else:
        yield _document(path, content)


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    if b"PK\x05\x06" in content[-66_000:]:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    yield info.filename, member.read(MAX_BYTES)
        return
    opener = _STREAMS.get(content[:2])
    if opener:
        with opener(io.BytesIO(content)) as stream:
            content = stream.read(MAX_BYTES)
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isreg() else None
                if file:
                    yield entry.name, file.read(MAX_BYTES)
    elif opener:
        yield "content", content


def _document(path: str, content: bytes) -> Document:
    if _LEGAL.search(path) and not path.endswith(".py"):
        return Document(path, "", True)
    if path.endswith((".pyc", ".pyo")) or b"\0" in content[:8192]:
        return Document(path, "\n".join(_strings(content, path.endswith((".pyc", ".pyo")))), True)
    text = content.decode(errors="replace")
    if path.endswith((".html", ".htm", ".xhtml")):
        text = html.unescape(_TAG.sub("", text))
    elif path.endswith((".json", ".ipynb", ".jsonl")):
        text = text.replace("\\n", "\n")
    elif path.endswith(".dist-info/entry_points.txt"):
        text = _SECTION.sub("", text)
    return Document(path, text, False)


def _strings(content: bytes, marshalled: bool) -> Iterator[str]:
    """Printable runs; in a compiled module the strings by their own length, or a type byte sticks to their end."""
    if not marshalled:
        yield from (run.group().decode() for run in _PRINTABLE.finditer(content))
        return
    for start in re.finditer(rb"[zZ\xfa\xda]", content):
        size = content[start.end()] if start.end() < len(content) else 0
        run = content[start.end() + 1 : start.end() + 1 + size]
        if size >= 4 and _PRINTABLE.fullmatch(run):
            yield run.decode()
    for start in re.finditer(rb"[aAuts\xe1\xc1\xf5\xf4\xf3](?=....)", content, re.DOTALL):
        size = int.from_bytes(content[start.end() : start.end() + 4], "little")
        run = content[start.end() + 4 : start.end() + 4 + size]
        if 4 <= size == len(run) and b"\0" not in run:
            yield run.decode(errors="replace")


def is_code(path: str) -> bool:
    """Whether a text is Python source, in which one common line or name proves nothing."""
    return path.endswith((".py", ".pyx", ".pxd"))


def normal(line: str) -> str:
    """The normal form of a line; empty for one without content."""
    return "".join(line.split()).replace('\\"', '"').removesuffix('\\n",').lstrip(_BEFORE).rstrip(_AFTER)


def numbered(text: str) -> list[tuple[int, str]]:
    """The lines of a text that have content: number from 1, normal form."""
    lines = ((number, normal(line)) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def inline_code(text: str) -> list[tuple[int, str]]:
    """Code quoted within lines of prose, in normal form, with the numbers of those lines."""
    lines = ((number, span) for number, line in enumerate(text.split("\n"), 1) for span in _INLINE.findall(line))
    return [(number, normal(span)) for number, span in lines]


def code_names(text: str) -> set[str]:
    """Identifiers that look like code and not like a word: with an inner underscore, a digit, or mixed case."""
    return {name for name in set(_IDENTIFIER.findall(text)) if _looks_like_code(name)}


def _looks_like_code(name: str) -> bool:
    inner = name.strip("_")
    return "_" in inner or any(map(str.isdigit, inner)) or not (inner.islower() or inner.isupper() or inner.istitle())
