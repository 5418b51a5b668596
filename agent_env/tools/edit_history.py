"""What files held before the editor changed them, so that edits can be taken back one by one."""

from collections.abc import Callable
from hashlib import sha256
from posixpath import join, normpath
from typing import NamedTuple

from agent_env.sandbox.base import WORK_DIR

MAX_BYTES = 20_000_000
"""Of all remembered contents together; the oldest are forgotten first. A larger one is not remembered at all, nor are
the edits of its file before."""


class PastEdit(NamedTuple):
    """One edit."""

    path: str
    before: bytes | None
    """None: there was no file."""
    after: bytes
    """Digest of what the edit wrote."""


class EditHistory:
    """The edits of one episode, the oldest first."""

    def __init__(self) -> None:
        self._edits: list[PastEdit] = []
        self._forgotten: set[str] = set()
        """Paths."""

    def record(self, path: str, before: bytes | None, after: bytes) -> None:
        """Remember an edit that was just made."""
        key = _key(path)
        if before is not None and len(before) > MAX_BYTES:
            self._edits = [edit for edit in self._edits if edit.path != key]
            self._forgotten.add(key)
            return
        self._edits.append(PastEdit(key, before, sha256(after).digest()))
        while sum(len(edit.before or b"") for edit in self._edits) > MAX_BYTES:
            self._forgotten.add(self._edits.pop(0).path)

    def take_back(self, path: str, undo: Callable[[PastEdit], None]) -> bool:
        """Hand the latest edit of a file to ``undo`` and forget it, unless that raises; False where there is none."""
        for number in range(len(self._edits) - 1, -1, -1):
            if self._edits[number].path == _key(path):
                undo(self._edits[number])
                del self._edits[number]
                return True
        return False

    def count(self, path: str) -> int:
        """How many edits of a file can be taken back."""
        return sum(edit.path == _key(path) for edit in self._edits)

    def has_forgotten(self, path: str) -> bool:
        """Whether a file had edits that are no longer remembered."""
        return _key(path) in self._forgotten


def is_changed_since(edit: PastEdit, now: bytes | None) -> bool:
    """Whether a file holds something else than the edit wrote."""
    return now is None or sha256(now).digest() != edit.after


def _key(path: str) -> str:
    return normpath(join(WORK_DIR, path))
