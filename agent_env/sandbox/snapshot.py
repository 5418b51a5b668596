"""A sandbox's files, frozen at one moment, from which others start: the members of a group share a prefix."""

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.file_copy import copy_files
from agent_env.sandbox.overlay import changed_files, read_through
from agent_env.sandbox.residence import new_residence, remove_residence, residence_base

FROZEN = ("upper", "tmp", "home")
"""What is frozen of a residence: what changed in the work tree becomes a layer, /tmp and home are copied."""


class FrozenFiles:
    """See ``Snapshot``.

    Args:
        spec: what the sandbox was made from.
        files: its writable folders, at rest.
        shell: a script that brings the shell's directory and exported variables back.

    Raises:
        SandboxError: they could not be copied.
    """

    def __init__(self, spec: SandboxSpec, files: Path, shell: str) -> None:
        self._parent = spec.start
        self._base = spec.layers
        self._owner = os.getpid()
        self._users = 1
        self._closed = False
        self._lock = threading.Lock()
        self._changes: dict[str, bytes | None] | None = None
        self.shell = shell
        self.folder = new_residence(residence_base())
        self.layers = (*(self._parent.layers if self._parent else ()), self.folder / "upper")
        self.spec = replace(spec, start=self)
        try:
            for name in FROZEN:
                (self.folder / name).mkdir()
                copy_files(files / name, self.folder / name)
        except BaseException:
            remove_residence(self.folder)
            raise
        if self._parent:
            self._parent.hold()

    def hold(self) -> None:
        """See ``Snapshot.hold``."""
        with self._lock:
            if self._users == 0:
                raise SandboxError("the snapshot is closed: take a new one")
            self._users += 1

    def let_go(self) -> None:
        """See ``Snapshot.let_go``."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last and self._owner == os.getpid():
            remove_residence(self.folder)
            if self._parent:
                self._parent.let_go()

    def close(self) -> None:
        """See ``Snapshot.close``."""
        with self._lock:
            was_closed, self._closed = self._closed, True
        if not was_closed:
            self.let_go()

    def changes(self) -> dict[str, bytes | None]:
        """What differs from the start state below all snapshots; see ``Sandbox.changes``."""
        if self._changes is None:
            found = changed_files(self.layers[-1], (*self._base, *self.layers[:-1]))
            self._changes = since_base(self._base, self._parent.changes() if self._parent else {}, found)
        return self._changes


def since_base(
    base: tuple[Path, ...], before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]
) -> dict[str, bytes | None]:
    """Two changes in turn as one against the layers ``base``."""
    both = {**before, **after}
    if not before:
        return both
    return {path: content for path, content in both.items() if content != read_through(base, path)}
