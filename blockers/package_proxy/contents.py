"""Whether a wheel holds a copy of the project, by its list of contents alone: nothing in it is unpacked or run."""

import zipfile
from pathlib import PurePosixPath
from typing import BinaryIO

from packaging.utils import canonicalize_name

from blockers.package_proxy.policy import Policy

MAX_ENTRIES = 100_000
"""Wheels with more files are refused."""

_CODE = (".py", ".pyi", ".pyc", ".so", ".pyd")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".egg")


def copy_in_wheel(file: BinaryIO, policy: Policy) -> str | None:
    """What in a wheel may not be served, in words for the agent; None where there is nothing.

    The project's packages are looked for at any depth, since a copy may be vendored; so are archives named for it, and
    files with the size and checksum of one of its own, whatever they are called.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, RecursionError):
        return "it is no wheel that can be read"
    if len(entries) > MAX_ENTRIES:
        return f"it holds more than {MAX_ENTRIES} files"
    for entry in entries:
        if found := _copied(entry, policy):
            return f"it holds a copy of the project of this task ({found[:100]!r})"
    return None


def _copied(entry: zipfile.ZipInfo, policy: Policy) -> str | None:
    path = PurePosixPath(entry.filename.lower())
    if (entry.CRC, entry.file_size) in policy.files:
        return entry.filename
    if path.name.endswith(_CODE):
        stem = path.name.split(".")[0]
        if stem in policy.modules or not policy.modules.isdisjoint(path.parts[:-1]):
            return entry.filename
    if path.name.endswith(_ARCHIVES) and canonicalize_name(path.name.split("-")[0]) in policy.projects:
        return entry.filename
    return None
