"""The files of a plain directory, as a commit would hold them."""

import os
from collections.abc import Iterator
from pathlib import Path

from env_builder.snapshot import EXECUTABLE_MODE, SYMLINK_MODE, TreeFile
from tasks.errors import raise_if_of_machine

MADE_FOLDERS = frozenset(
    {"__pycache__", "node_modules", ".tox", ".nox", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
"""Folders that tools make and that are no part of a tree; a virtual environment is known by its
``pyvenv.cfg`` as well."""


def read_tree(root: Path) -> Iterator[TreeFile]:
    """All files and symlinks below ``root``, in a fixed order, less what tools make."""
    for folder, names, files in os.walk(root, onerror=raise_if_of_machine):
        here = Path(folder)
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = sorted(name for name in names if name not in links and not _is_made(here / name))
        for name in sorted(files + links):
            yield _read(root, here / name)


def _is_made(folder: Path) -> bool:
    made = folder.name in MADE_FOLDERS or folder.name.endswith(".egg-info")
    return made or folder.name == ".git" or (folder / "pyvenv.cfg").is_file()


def _read(root: Path, path: Path) -> TreeFile:
    name = path.relative_to(root).as_posix()
    if path.is_symlink():
        return TreeFile(name, SYMLINK_MODE, os.fsencode(path.readlink()))
    return TreeFile(name, EXECUTABLE_MODE if os.access(path, os.X_OK) else 0o100644, path.read_bytes())
