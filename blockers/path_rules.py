"""Which paths may cross from an agent to the grader: by form, by kind, and by what they would shadow on import."""

import sys
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from pathlib import PurePosixPath

from tasks.paths import PathKind, path_kind

MAX_PATH_BYTES = 1024
"""Longest path, in UTF-8 bytes; the longest in the packages looked at is under 200."""

MAX_NAME_BYTES = 255
"""Longest single name, the limit of the usual file systems."""

TEST_TOOLS = frozenset(
    [
        "_distutils_hack", "_hypothesis_pytestplugin", "_pytest", "attr", "attrs", "coverage", "exceptiongroup",
        "execnet", "hypothesis", "iniconfig", "mock", "packaging", "pip", "pkg_resources", "pluggy", "py", "pygments",
        "pytest", "pytest_asyncio", "pytest_cov", "pytest_mock", "setuptools", "six", "sitecustomize", "tomli",
        "typing_extensions", "usercustomize", "uv", "wheel", "xdist",
    ]
)  # fmt: skip
"""Top-level modules of the test runner and of what it imports, with those that Python imports by itself at start."""

IMPORT_ROOTS = ("", "src", "lib", "python")
"""Folders of a repository that commonly stand on the import path."""

_HIDDEN_CHARACTERS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a person does not see, or that end a line."""


class Reason(StrEnum):
    """Why a changed file does not cross."""

    PATH = "path"
    """The path is absolute, leaves the tree, holds an invisible character or ``.git``, or is too long."""
    TEST = "test"
    """A test file: the grader lays its own."""
    CONFIG = "config"
    """Configuration, hooks, hidden files, bytecode: what steers the tests belongs to the task."""
    SHADOWS = "shadows"
    """A new top-level module that would be imported in place of the standard library or of the test runner."""
    NOT_TEXT = "not_text"
    """Not UTF-8, or holds a NUL byte."""
    TOO_LARGE = "too_large"
    """The file alone is over the size limit."""
    TOO_MANY = "too_many"
    """The files before it, in the order of crossing, used up the limit on number or on total size."""
    COLLISION = "collision"
    """Same path as another changed file but for case or Unicode form, or a folder and a file of one name."""


def well_formed(path: str) -> bool:
    """Whether ``path`` is a plain relative POSIX path that means the same everywhere."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return False
    names = path.split("/")
    return (
        0 < len(encoded) <= MAX_PATH_BYTES
        and "\\" not in path
        and not any(unicodedata.category(character) in _HIDDEN_CHARACTERS for character in path)
        and all(_plain_name(name) for name in names)
    )


def _plain_name(name: str) -> bool:
    return (
        0 < len(name.encode()) <= MAX_NAME_BYTES
        and name not in (".", "..")
        and name == name.strip(" ")
        and name.casefold() not in (".git", "git~1")
    )


def path_reason(path: str, owned: Collection[str] = ()) -> Reason | None:
    """Why ``path`` does not cross whatever its content, or None where it may.

    Args:
        path: as the agent or its patch names it.
        owned: top-level names (``top_names``) that the start state has; its own modules shadow nothing anew.
    """
    if not well_formed(path):
        return Reason.PATH
    parts = path.split("/")
    # A folder named like configuration counts as that: with it, an agent would take the task's own file away.
    kinds = {path_kind("/".join(parts[:size])) for size in range(1, len(parts) + 1)}
    if PathKind.TEST in kinds:
        return Reason.TEST
    if PathKind.CONFIG in kinds:
        return Reason.CONFIG
    shadows = any(name in _RESERVED and name not in owned for name in top_names([path]))
    return Reason.SHADOWS if shadows else None


def top_names(paths: Collection[str]) -> frozenset[str]:
    """Names under which ``paths`` could be imported from any of ``IMPORT_ROOTS``: packages, and modules by stem."""
    names = set()
    for path in paths:
        parts = PurePosixPath(path).parts
        for root in IMPORT_ROOTS:
            inner = parts[1:] if root and parts[:1] == (root,) else parts if not root else ()
            if len(inner) > 1:
                names.add(inner[0])
            elif inner and inner[0].endswith(".py"):
                names.add(inner[0].removesuffix(".py"))
    return frozenset(names)


def same_file_key(path: str) -> str:
    """Equal for two paths that one file system or another takes for the same file."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


# A new ``__init__`` at an import root turns the whole work tree into a package and renames every test module.
_RESERVED = frozenset(sys.stdlib_module_names) | TEST_TOOLS | {"__init__", "__main__", "conftest"}
