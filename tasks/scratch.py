"""Passing folders that bear their process's name, so that what a killed one left is known, and removed."""

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.owner import is_owner_alive, owner_name, process_namespace

_NAME = re.compile(r"repodojo-[a-z]+-(\d+-\d+)-(\d+)-\w+")


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """An empty folder for as long as the context lasts.

    Args:
        kind: a word for its name.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"repodojo-{kind}-{owner_name()}-{process_namespace()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what stays goes at the end of this process


def reap_scratch() -> None:
    """Remove the folders of processes that are dead."""
    for folder, owner in _folders():
        if not is_owner_alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def _remove_own() -> None:
    for folder, owner in _folders():
        if owner == owner_name():
            shutil.rmtree(folder, ignore_errors=True)


def _folders() -> Iterator[tuple[Path, str]]:
    """Each folder in the place for temporary files that is named as ours are, and its owner, if that can be seen from
    here: the place may be shared with containers, whose processes have numbers of their own."""
    for folder in Path(tempfile.gettempdir()).glob("repodojo-*"):
        found = _NAME.fullmatch(folder.name)
        if found and found[2] == process_namespace():
            yield folder, found[1]
