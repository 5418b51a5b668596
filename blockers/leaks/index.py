"""A searchable index of one directory, built once and asked by every task that shares it.

Sorted 64-bit digests of single lines, of windows of three consecutive lines, and of names, each with the place it
stands at. Digests are not verified against the text: at a million lines a false hit has odds of one in ten million.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from blockers.leaks.texts import (
    REPOSITORIES,
    Document,
    code_names,
    documents,
    inline_code,
    is_code,
    numbered,
    read_document,
)
from tasks.tree import Edits

MIN_LINE = 20
"""Shortest line, in characters that are not blank, that may tell anything by itself."""

MIN_WINDOW = 30
"""Shortest window that may tell anything, in characters that are not blank."""

WINDOW = 3
"""Lines in a window."""

_INSTALLERS_LISTS = ("RECORD", "installed-files.txt", "SOURCES.txt")


class Place(NamedTuple):
    """Where something stands."""

    path: str
    line: int | None
    compiled: bool
    """Whether the file is binary."""


class LeakIndex:
    """The index of one directory; it does not notice later changes there. May be pickled."""

    def __init__(self, files: Iterable[Document], *, root: Path | None = None) -> None:
        self.root = root
        """The indexed directory; None for files in memory."""
        self.paths: list[str] = []
        """Every text, members of archives included."""
        self.recorded: dict[str, Place] = {}
        """Files that an installer's or builder's list names, and where it does."""
        self._compiled = bytearray()
        self._documents = array("L")
        self._lines = array("L")
        self._kept: dict[str, Document] = {}
        found: list[int] = []
        for document in files:
            found.extend(self._places(document))
            if root is None:
                self._kept[document.path] = document
        found.sort()
        self._keys = array("Q", (entry >> 32 for entry in found))
        self._order = array("L", (entry & 0xFFFFFFFF for entry in found))
        self._modules: dict[str, list[str]] = {}
        for path in self.paths:
            module = module_path(path)
            self._modules.setdefault(module.rpartition("/")[2], []).append(path)

    @classmethod
    def build(cls, root: Path) -> "LeakIndex":
        """Read a whole directory: about a second for 10 MB of text."""
        return cls(documents(root), root=root)

    @classmethod
    def of_files(cls, files: Edits) -> "LeakIndex":
        """The index of a few files in memory."""
        return cls(
            text for path, content in files.items() if content is not None for text in read_document(path, content)
        )

    def lines(self, line: str) -> Iterator[Place]:
        """Places of a line, given in its normal form."""
        return self._find(line)

    def windows(self, window: Sequence[str]) -> Iterator[Place]:
        """Places of consecutive lines, in normal form."""
        return self._find("\n".join(window))

    def names(self, name: str) -> Iterator[Place]:
        """Files that hold an identifier."""
        return self._find("name " + name)

    def copies(self, module: str) -> list[str]:
        """Texts whose path ends as the path under which ``module`` is imported, compiled ones included."""
        name = module.rpartition("/")[2]
        return [path for path in self._modules.get(name, ()) if f"/{module_path(path)}".endswith(f"/{module}")]

    def repositories(self) -> list[str]:
        """Version-control folders, which are reported and not entered."""
        return [path for path in self.paths if path.rpartition("/")[2] in REPOSITORIES]

    def document(self, path: str) -> Document:
        """One text, read again."""
        if self.root is None:
            return self._kept[path]
        outer = path.partition("!")[0]
        return next(text for text in read_document(outer, (self.root / outer).read_bytes()) if text.path == path)

    def _find(self, text: str) -> Iterator[Place]:
        key = _digest(text)
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at] == key:
            place = self._order[at]
            document = self._documents[place]
            compiled = bool(self._compiled[document])
            yield Place(self.paths[document], None if compiled else self._lines[place] or None, compiled)
            at += 1

    def _places(self, document: Document) -> Iterator[int]:
        """Digest above, number of the place below, in one integer that sorts by digest."""
        self.paths.append(document.path)
        self._compiled.append(document.compiled)
        if document.path.rpartition("/")[2] in _INSTALLERS_LISTS:
            for number, line in enumerate(document.text.splitlines(), 1):
                self.recorded[line.split(",")[0]] = Place(document.path, number, False)
        lines = numbered(document.text)
        for at, (number, line) in enumerate(lines):
            if len(line) >= MIN_LINE:
                yield _digest(line) << 32 | self._place(number)
            window = [line for _, line in lines[at : at + WINDOW]]
            if tells(window):
                yield _digest("\n".join(window)) << 32 | self._place(number)
        for number, span in [] if is_code(document.path) else inline_code(document.text):
            if len(span) >= MIN_LINE:
                yield _digest(span) << 32 | self._place(number)
        for name in code_names(document.text):
            yield _digest("name " + name) << 32 | self._place(0)

    def _place(self, line: int) -> int:
        self._documents.append(len(self.paths) - 1)
        self._lines.append(line)
        return len(self._lines) - 1


def tells(window: Sequence[str]) -> bool:
    """Whether a window is whole and long enough to be searched for."""
    return len(window) == WINDOW and sum(map(len, window)) >= MIN_WINDOW


def module_path(path: str) -> str:
    """The path of the source that a path stands for: ``a/__pycache__/b.cpython-311.pyc`` is ``a/b.py``."""
    path = path.replace("!", "/")
    if not path.endswith((".pyc", ".pyo")):
        return path
    folder, _, name = path.rpartition("/")
    folder = folder.removesuffix("__pycache__").rstrip("/")
    return f"{folder}/{name.partition('.')[0]}.py".lstrip("/")


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest(), "little")
