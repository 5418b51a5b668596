"""Which file of a repository is source, test, or configuration: one rule, asked by mining, grading and blockers."""

import re
from enum import Enum
from pathlib import PurePosixPath

CONFIG_NAMES = frozenset(
    {
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "tox.ini",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "noxfile.py",
        "Makefile",
        "MANIFEST.in",
        "PKG-INFO",
        "sitecustomize.py",
        "usercustomize.py",
        ".coveragerc",
        ".gitattributes",
        ".gitmodules",
        ".gitignore",
    }
)
"""Files that steer how tests are built, found or run, wherever they stand."""

_TEST_FOLDER = re.compile(
    r"^(tests?|testing|_tests?|unit_?tests?|test_?data|fixtures|cassettes|golden)$", re.IGNORECASE
)
_TEST_FILE = re.compile(r"^(test_.*|.*_test|tests?|conftest)\.py$")


class PathKind(Enum):
    """What a path of a repository is for."""

    SOURCE = "source"
    """Code and data of the project: the only kind that crosses from an agent to the grader."""
    TEST = "test"
    """Tests, their data, and conftest files."""
    CONFIG = "config"
    """What steers building and testing: configuration, hooks, hidden folders, bytecode, requirement lists."""


def path_kind(path: str) -> PathKind:
    """Classify a relative POSIX path by its name alone."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if any(_TEST_FOLDER.match(part) for part in parts[:-1]) or _TEST_FILE.match(name):
        return PathKind.TEST
    steers = name in CONFIG_NAMES or name.endswith((".pth", ".pyc", ".pyo", ".so", ".egg-link"))
    hidden = any(
        part.startswith(".") or part == "__pycache__" or part.endswith((".egg-info", ".dist-info")) for part in parts
    )
    listed = name.startswith(("requirements", "constraints")) and name.endswith((".txt", ".in"))
    return PathKind.CONFIG if steers or hidden or listed else PathKind.SOURCE
