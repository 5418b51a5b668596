"""Where the names of a test module come from: its imports, written so that they work outside the test's package."""

import ast
import sys
from collections.abc import Iterable
from pathlib import PurePosixPath

_SOURCE_ROOTS = ("src", "lib", "python")
_TEST_TOOLS = frozenset({"pytest", "_pytest", "hypothesis", "mock", "nose", "unittest", "testtools"})


class Imports:
    """The imports of one module, by the names that they bind."""

    def __init__(self, tree: ast.Module, path: str) -> None:
        self._package = _package_of(path)
        self._by_name: dict[str, ast.Import | ast.ImportFrom] = {}
        self.modules: dict[str, str] = {}
        """By bound name: the dotted thing it stands for (``toolz.itertoolz.partition``, ``toolz``)."""
        self.stars: list[ast.ImportFrom] = []
        """Imports of everything a module has."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._add_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._add_from(node)

    def statement(self, name: str) -> ast.Import | ast.ImportFrom | None:
        """The import that binds just this name."""
        return self._by_name.get(name)

    def outside(self, node: ast.Import | ast.ImportFrom) -> ast.Import | ast.ImportFrom:
        """An import of the module as it is written outside its package."""
        if isinstance(node, ast.Import):
            return node
        return ast.ImportFrom(module=absolute(node, self._package), names=node.names, level=0)

    def _add_import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self._by_name.setdefault(bound, ast.Import(names=[alias]))
            self.modules.setdefault(bound, alias.name if alias.asname else bound)

    def _add_from(self, node: ast.ImportFrom) -> None:
        module = absolute(node, self._package)
        for alias in node.names:
            single = ast.ImportFrom(module=module, names=[alias], level=0)
            if alias.name == "*":
                self.stars.append(single)
                continue
            bound = alias.asname or alias.name
            self._by_name.setdefault(bound, single)
            self.modules.setdefault(bound, f"{module}.{alias.name}")


def absolute(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    """The module that an import names, without leading dots."""
    if not node.level:
        return node.module or ""
    base = package[: len(package) - node.level + 1]
    return ".".join((*base, *([node.module] if node.module else [])))


def project_packages(paths: Iterable[str]) -> frozenset[str]:
    """Top-level packages that files of a repository belong to."""
    found = set()
    for path in paths:
        if path.endswith(".py"):
            found.add(module_name(path).partition(".")[0])
    return frozenset(found)


def module_name(path: str) -> str:
    """The dotted name of a source file's module."""
    parts = PurePosixPath(path).with_suffix("").parts
    if len(parts) > 1 and parts[0] in _SOURCE_ROOTS:
        parts = parts[1:]
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def is_project(dotted: str, packages: frozenset[str]) -> bool:
    """Whether a dotted name belongs to the project: to its packages, or at least to no library of tests or Python's."""
    top = dotted.partition(".")[0]
    if packages & {top}:
        return True
    return not packages and top not in sys.stdlib_module_names and top not in _TEST_TOOLS


def _package_of(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts[:-1]
    return parts[1:] if parts and parts[0] in _SOURCE_ROOTS else parts
