"""What files held before the editor changed them, so that edits can be taken back one by one."""

from collections.abc import Callable
from hashlib import sha256
from posixpath import join, normpath
from typing import NamedTuple

from agent_env.sandbox.base import WORK_DIR

MAX_BYTES = 20_000_000
"""Of all remembered contents together; the oldest are forgotten first."""


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

    def record(self, path: str, before: bytes | None, after: bytes) -> None:
        """Remember an edit that was just made."""
        self._edits.append(PastEdit(_key(path), before, sha256(after).digest()))
        while sum(len(edit.before or b"") for edit in self._edits) > MAX_BYTES:
            self._edits.pop(0)

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


def is_changed_since(edit: PastEdit, now: bytes | None) -> bool:
    """Whether a file holds something else than the edit wrote."""
    return now is None or sha256(now).digest() != edit.after


def _key(path: str) -> str:
    return normpath(join(WORK_DIR, path))
