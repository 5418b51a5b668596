"""The version of a source tree, without running any of it."""

import re
import tomllib
from email.parser import HeaderParser
from pathlib import Path

from packaging.version import InvalidVersion, Version

NO_VERSION = "0.0.0"
"""What a tree is said to be where nothing tells."""


def version_of_tag(tag: str) -> str | None:
    """The version that a tag names (``v1.2``, ``toolz-1.2``, ``release/1.2``), or None where it names none."""
    match = re.search(r"(?:^|[-_/v])(\d+(?:\.\d+)+\S*|\d+)$", tag)
    try:
        return str(Version(match[1])) if match else None
    except InvalidVersion:
        return None


def find_version(tree: Path) -> str:
    """The version that PKG-INFO or pyproject.toml states, else ``0.0.0``."""
    for stated in (_of_pkg_info(tree), _of_pyproject(tree)):
        try:
            return str(Version(stated))
        except InvalidVersion:
            continue
    return NO_VERSION


def _of_pkg_info(tree: Path) -> str:
    try:
        text = (tree / "PKG-INFO").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return str(HeaderParser().parsestr(text).get("Version", ""))


def _of_pyproject(tree: Path) -> str:
    try:
        content = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
        return str(content.get("project", {}).get("version", ""))
    except (OSError, ValueError, AttributeError):
        return ""
