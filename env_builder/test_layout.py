"""What a project's own files say about testing it: where its tests lie and what they need."""

import ast
import re
import shlex
import sys
import warnings
from collections.abc import Iterable
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from env_builder.project import read_ini, read_toml
from env_builder.request import RepoRequest
from tasks.syntax import parse_python
from tasks.tree import list_files

_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")

_REQUIREMENT_FILE = re.compile(
    r"^((requirements|reqs?)?[-_./]?(tests?|testing|dev|develop)([-_.]?(requirements|reqs?))?|tests?/requirements)\.(txt|in)$"
)
"""Lists of what tests need: ``requirements-test.txt``, ``test-requirements.txt``, ``requirements/dev.txt``."""

_HELPERS = {
    "aiohttp": "aiohttp",
    "anyio": "anyio",
    "attr": "attrs",
    "attrs": "attrs",
    "dateutil": "python-dateutil",
    "freezegun": "freezegun",
    "hypothesis": "hypothesis",
    "mock": "mock",
    "nose": "nose",
    "numpy": "numpy",
    "parameterized": "parameterized",
    "pretend": "pretend",
    "pytest_asyncio": "pytest-asyncio",
    "pytest_benchmark": "pytest-benchmark",
    "pytest_mock": "pytest-mock",
    "pytz": "pytz",
    "requests": "requests",
    "responses": "responses",
    "six": "six",
    "trio": "trio",
    "yaml": "pyyaml",
}
"""Modules that tests of other projects import, and the packages that hold them. Only these are installed on the
strength of an import: a name found in code is no proof of whose package bears it."""

_MARKED = {
    "asyncio": "pytest-asyncio",
    "benchmark": "pytest-benchmark",
    "mocker": "pytest-mock",
    "timeout": "pytest-timeout",
}
"""Marks and fixtures that belong to a plugin."""

_KEPT_OPTIONS = ("--import-mode", "--ignore", "--ignore-glob", "-m", "-k", "--pyargs")
"""Options of the project's own pytest settings that choose tests or how they are imported; the rest is left out."""


@dataclass(frozen=True, kw_only=True)
class TestLayout:
    """The testing side of a source tree."""

    __test__ = False

    files: tuple[str, ...]
    """Test files by name; empty means that there are no tests."""
    paths: tuple[str, ...]
    """What pytest is told to collect."""
    requirement_files: tuple[str, ...]
    packages: tuple[str, ...]
    """What tox installs for the tests, and what the tests import or use that is known to come from elsewhere."""
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    """Extras and dependency groups that tox installs."""
    variables: dict[str, str] = field(default_factory=dict)


def read_test_layout(tree: Path, request: RepoRequest) -> TestLayout:
    """Find the tests of a tree; what the request says comes first."""
    names = list_files(tree)
    files = tuple(name for name in names if _TEST_FILE.search(name))
    variables, options, asked = _split_command(request.test_command, tree)
    settings = _pytest_settings(tree)
    tox = read_ini(tree / "tox.ini")
    options = options or _kept(shlex.split(settings.get("addopts", ""), comments=True))
    paths = request.test_paths or asked or _existing(tree, shlex.split(settings.get("testpaths", ""))) or _usual(files)
    if options:
        variables["PYTEST_ADDOPTS"] = shlex.join(options)
    return TestLayout(
        files=files,
        paths=tuple(paths),
        requirement_files=tuple(name for name in names if _REQUIREMENT_FILE.match(name)),
        packages=tuple(dict.fromkeys([*_tox_packages(tox), *_used(tree, files, names)])),
        extras=tuple(_words(tox.get("testenv", "extras", fallback=""))),
        groups=tuple(_words(tox.get("testenv", "dependency_groups", fallback=""))),
        variables=variables,
    )


def _pytest_settings(tree: Path) -> dict[str, str]:
    """``addopts`` and ``testpaths`` of the first file that pytest would read, in its order."""
    for name, section in (("pytest.ini", "pytest"), (".pytest.ini", "pytest")):
        config = read_ini(tree / name)
        if config.has_section(section):
            return dict(config.items(section))
    options = read_toml(tree / "pyproject.toml").get("tool", {}).get("pytest", {}).get("ini_options")
    if isinstance(options, dict):
        return {
            key: shlex.join(map(str, value)) if isinstance(value, list) else str(value)
            for key, value in options.items()
        }
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        config = read_ini(tree / name)
        if config.has_section(section):
            return dict(config.items(section))
    return {}


def _split_command(command: str | None, tree: Path) -> tuple[dict[str, str], list[str], tuple[str, ...]]:
    """A test command taken apart: variables, options, paths."""
    if command is None:
        return {}, [], ()
    words = shlex.split(command)
    variables: dict[str, str] = {}
    while words and re.match(r"^\w+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    words = words[words.index("-m") + 2 :] if words[1:2] == ["-m"] else words[1:]
    paths = tuple(word for word in words if (tree / word.split("::")[0]).exists() and not word.startswith("-"))
    return variables, [word for word in words if word not in paths], paths


def _kept(options: list[str]) -> list[str]:
    kept: list[str] = []
    for number, option in enumerate(options):
        name, joined, _ = option.partition("=")
        if name in _KEPT_OPTIONS:
            takes_next = not joined and name != "--pyargs"
            kept += [option, *options[number + 1 : number + 2]] if takes_next else [option]
    return kept


def _existing(tree: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    found = [
        path.relative_to(tree).as_posix()
        for pattern in patterns
        if not pattern.startswith(("/", ".."))
        for path in sorted(tree.glob(pattern.rstrip("/")))
    ]
    return tuple(dict.fromkeys(found))


def _usual(files: tuple[str, ...]) -> tuple[str, ...]:
    """The folder ``tests`` or ``test`` at the top where it holds tests, else the top-level folders that hold any."""
    tops = sorted({name.split("/")[0] for name in files})
    return tuple(top for top in ("tests", "test") if top in tops) or tuple(tops)


def _tox_packages(tox: ConfigParser) -> tuple[str, ...]:
    found = []
    for line in tox.get("testenv", "deps", fallback="").splitlines():
        try:
            found.append(str(Requirement(line.split(" #")[0].strip())))
        except InvalidRequirement:
            continue
    return tuple(found)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if re.match(r"^[\w.-]+$", word)]


def _used(tree: Path, files: tuple[str, ...], names: list[str]) -> list[str]:
    """Packages that the tests show they need by what they import, or by a plugin's marks and fixtures."""
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in names} | set(sys.stdlib_module_names)
    conftests = [name for name in names if PurePosixPath(name).name == "conftest.py"]
    found: set[str] = set()
    for name in [*files, *conftests]:
        for word in _names_used((tree / name).read_bytes()):
            if word not in own and word in _HELPERS:
                found.add(_HELPERS[word])
            if word.startswith("@") and word[1:] in _MARKED:
                found.add(_MARKED[word[1:]])
    return sorted(found)


def _names_used(source: bytes) -> set[str]:
    """Top-level modules that a file imports; ``@NAME`` for pytest marks and arguments of test functions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = parse_python(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "mark":
            found.add(f"@{node.attr}")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            found |= {f"@{argument.arg}" for argument in node.args.args}
    return found
