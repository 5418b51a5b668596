"""What a task's project is called, and what of it could be found again elsewhere: for the index that must not have it.

Every name that the project goes by in its own files counts; one too many only means that one package more is refused.
"""

import ast
import configparser
import email.parser
import tomllib
import zlib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from agent_env.store import Build
from agent_env.watch import source_packages
from blockers.package_proxy.policy import Policy, make_policy
from tasks.environment import Environment
from tasks.paths import PathKind, path_kind
from tasks.tree import list_files

_HELPERS = frozenset({"setup", "conftest", "versioneer", "noxfile", "tasks", "fabfile", "manage", "main", "__init__"})
"""Modules at a root that many projects have, and that say nothing of them."""


def frozen_policy(build: Build) -> Policy:
    """The policy for the tasks of an environment."""
    files = list_files(build.tree)
    source = [path for path in files if path_kind(path) is PathKind.SOURCE]
    return make_policy(
        until=build.environment.packages_until,
        projects={*_named_by_source(build.environment), *_named_by_files(build.tree), *_installed_names(build.venv)},
        modules={*source_packages(files), *_single_modules(source)},
        files={_fingerprint(build.tree / path) for path in source if path.endswith((".py", ".pyi", ".pyx", ".c"))},
    )


def _named_by_source(environment: Environment) -> Iterator[str]:
    yield environment.repo
    kind, _, rest = environment.source.partition(":")
    if kind == "pypi":
        try:
            yield Requirement(rest).name
        except InvalidRequirement:
            return
    elif name := PurePosixPath(environment.source.rstrip("/")).name.removesuffix(".git"):
        yield name


def _named_by_files(tree: Path) -> Iterator[str]:
    for path, read in (
        ("pyproject.toml", _pyproject_names),
        ("setup.cfg", _setup_cfg_names),
        ("setup.py", _setup_py_names),
        ("PKG-INFO", _metadata_names),
    ):
        file = tree / path
        if file.is_file() and not file.is_symlink():
            try:
                yield from read(file.read_text(errors="replace"))
            except (ValueError, SyntaxError, configparser.Error, RecursionError, AttributeError):
                continue  # a file that no tool could read names nothing


def _pyproject_names(text: str) -> list[str]:
    data = tomllib.loads(text)
    tool = data.get("tool", {})
    found = (
        data.get("project", {}).get("name"),
        tool.get("poetry", {}).get("name"),
        tool.get("flit", {}).get("metadata", {}).get("dist-name"),
        tool.get("flit", {}).get("metadata", {}).get("module"),
    )
    return [name for name in found if isinstance(name, str)]


def _setup_cfg_names(text: str) -> list[str]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    name = parser.get("metadata", "name", fallback="")
    return [name] if name else []


def _setup_py_names(text: str) -> list[str]:
    return [
        word.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "name" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
    ]


def _metadata_names(text: str) -> list[str]:
    name = email.parser.HeaderParser().parsestr(text)["Name"]
    return [str(name)] if name else []


def _installed_names(venv: Path) -> Iterator[str]:
    """The project as its own install calls it."""
    folders = [str(path) for path in venv.glob("lib/python*/site-packages")]
    for found in distributions(path=folders):
        if '"editable": true' in (found.read_text("direct_url.json") or "").replace('":true', '": true'):
            yield found.metadata["Name"]
            yield from (found.read_text("top_level.txt") or "").split()


def _single_modules(source: list[str]) -> Iterator[str]:
    for path in source:
        parts = PurePosixPath(path).parts
        stem = PurePosixPath(path).stem
        at_root = len(parts) == 1 or (len(parts) == 2 and parts[0] in ("src", "lib"))
        if at_root and path.endswith(".py") and stem not in _HELPERS:
            yield stem


def _fingerprint(path: Path) -> tuple[int, int]:
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    return zlib.crc32(content), len(content)
