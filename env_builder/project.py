"""What a project's own files say about installing it. They are read as text and as syntax; nothing of theirs is run."""

import ast
import tomllib
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from tasks.syntax import parse_python


@dataclass(frozen=True, kw_only=True)
class Project:
    """The installation side of a source tree."""

    installable: bool
    """Whether there is something to install: a pyproject.toml with a project or a build system, or a setup file."""
    requires_python: str
    """Version range of interpreters, empty where none is stated."""
    dependencies: tuple[str, ...]
    """What it needs to run, as far as it is stated without running code."""
    extras: tuple[str, ...]
    """Names of its optional dependency sets."""
    groups: tuple[str, ...]
    """Names of its dependency groups (PEP 735)."""
    development: tuple[str, ...]
    """What its tests need by the words of its tools: poetry, pdm, hatch, ``tests_require``."""


def read_project(tree: Path) -> Project:
    """Read pyproject.toml, setup.cfg and setup.py; a file that does not parse counts as absent."""
    pyproject = read_toml(tree / "pyproject.toml")
    config = read_ini(tree / "setup.cfg")
    called = _setup_arguments(tree / "setup.py")
    project = _table(pyproject, "project")
    optional = {
        **_strings_by_name(called.get("extras_require")),
        **_ini_lists(config, "options.extras_require"),
        **_strings_by_name(project.get("optional-dependencies")),
    }
    stated = (
        *_strings(project.get("dependencies")),
        *_ini_list(config, "options", "install_requires"),
        *_strings(called.get("install_requires")),
        *_poetry(_table(pyproject, "tool", "poetry", "dependencies")),
    )
    return Project(
        installable=bool(project or "build-system" in pyproject or (tree / "setup.py").is_file() or config.sections()),
        requires_python=_requires_python(project, config, called),
        dependencies=_requirements(stated),
        extras=tuple(optional),
        groups=tuple(_table(pyproject, "dependency-groups")),
        development=_requirements(
            (
                *_development(_table(pyproject, "tool")),
                *_ini_list(config, "options", "tests_require"),
                *_strings(called.get("tests_require")),
            )
        ),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; empty where it is absent or damaged."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def read_ini(path: Path) -> ConfigParser:
    """The content of an INI file; empty where it is absent or damaged."""
    config = ConfigParser(interpolation=None, strict=False)
    try:
        config.read(path, encoding="utf-8")
    except (ConfigError, UnicodeDecodeError):
        return ConfigParser(interpolation=None)
    return config


def _requires_python(project: dict[str, Any], config: ConfigParser, called: dict[str, Any]) -> str:
    candidates = (
        project.get("requires-python"),
        config.get("options", "python_requires", fallback=""),
        called.get("python_requires"),
    )
    return next((text.strip() for text in candidates if isinstance(text, str) and text.strip()), "")


def _development(tool: dict[str, Any]) -> tuple[str, ...]:
    found = list(_poetry(_table(tool, "poetry", "dev-dependencies")))
    for group in _table(tool, "poetry", "group").values():
        found += _poetry(_table(group, "dependencies"))
    for words in _table(tool, "pdm", "dev-dependencies").values():
        found += _strings(words)
    for environment in _table(tool, "hatch", "envs").values():
        if isinstance(environment, dict):
            found += [*_strings(environment.get("dependencies")), *_strings(environment.get("extra-dependencies"))]
    return tuple(found)


def _poetry(table: dict[str, Any]) -> tuple[str, ...]:
    """Names alone: poetry's own way of writing ranges is not the standard's, and the date picks a fitting version."""
    return tuple(
        name
        for name, detail in table.items()
        if name != "python" and not (isinstance(detail, dict) and detail.get("optional"))
    )


def _setup_arguments(path: Path) -> dict[str, Any]:
    """Literal arguments of the call of ``setup`` in setup.py, names of module-level literals followed."""
    try:
        module = parse_python(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return {}
    named: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            named[node.targets[0].id] = _literal(node.value, {})
        if isinstance(node, ast.Call) and _called_name(node.func) == "setup":
            found |= {word.arg: _literal(word.value, named) for word in node.keywords if word.arg}
    return found


def _called_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(node: ast.expr, named: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return named.get(node.id)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _table(content: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()


def _strings_by_name(value: Any) -> dict[str, tuple[str, ...]]:
    return {name: _strings(words) for name, words in value.items()} if isinstance(value, dict) else {}


def _ini_list(config: ConfigParser, section: str, key: str) -> tuple[str, ...]:
    return _strings(config.get(section, key, fallback=""))


def _ini_lists(config: ConfigParser, section: str) -> dict[str, tuple[str, ...]]:
    return {name: _strings(value) for name, value in config.items(section)} if config.has_section(section) else {}


def _requirements(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are requirements by the standard, each once."""
    found = []
    for text in texts:
        try:
            found.append(str(Requirement(text.split(" #")[0])))
        except InvalidRequirement:
            continue
    return tuple(dict.fromkeys(found))
