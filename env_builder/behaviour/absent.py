"""Things that a hidden test needs and the project lacks: names that cannot be imported, and how they are used."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from env_builder.behaviour.behaviour import Behaviour, demand
from env_builder.behaviour.excerpt import Excerpt, SourceModule
from env_builder.behaviour.report import Report

MOST_EXAMPLES = 6
"""Uses of one absent thing that are shown: it must be written from them."""

MOST_WHOLE = 2
"""Whole tests that are shown of a thing whose uses cannot be shown one by one."""

_PATTERNS = (
    re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'"),
    re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'"),
    re.compile(r"No module named '(?P<module>[\w.]+)'"),
)


class Absent(NamedTuple):
    """A name that the project lacks."""

    name: str
    """Empty where a whole module is absent."""
    module: str


def absent_thing(report: Report) -> Absent | None:
    """What the project lacks, where that is why a test failed."""
    for pattern in _PATTERNS:
        found = pattern.search(report.message)
        if found is not None:
            return Absent(found.groupdict().get("name") or "", found["module"])
    return None


def uses_of(absent: Absent, module: SourceModule, packages: frozenset[str]) -> list[Behaviour]:
    """How the tests of a module use an absent thing: at most one demand of each test at first, the shortest ones."""
    rounds: list[list[Behaviour]] = [
        sorted(_uses_in(function, absent, module, packages), key=lambda use: len(use.example))
        for function in _tests(module.tree)
    ]
    chosen: list[Behaviour] = []
    for turn in range(MOST_EXAMPLES):
        chosen += [uses[turn] for uses in rounds if len(uses) > turn]
    if not chosen:
        whole = [
            module.whole(function.name, {}) for function in _tests(module.tree) if _mentions(function, absent, module)
        ]
        chosen = [demand(excerpt, packages) for excerpt in whole if excerpt is not None and not excerpt.missing]
        chosen = sorted(chosen, key=lambda use: len(use.example))[:MOST_WHOLE]
    return list(dict.fromkeys(chosen))[:MOST_EXAMPLES]


def import_lines(absent: Absent, module: SourceModule) -> list[str]:
    """The imports of the test module that need the absent thing, as they should work."""
    lines = []
    for bound, dotted in module.imports.modules.items():
        statement = module.imports.statement(bound)
        wanted = f"{absent.module}.{absent.name}".rstrip(".")
        if statement is not None and (dotted == wanted or (not absent.name and dotted.startswith(wanted + "."))):
            lines.append(ast.unparse(statement))
    return lines


def _tests(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]


def _uses_in(
    function: ast.FunctionDef, absent: Absent, module: SourceModule, packages: frozenset[str]
) -> Iterator[Behaviour]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.With | ast.Expr) and _mentions(node, absent, module):
            excerpt = module.excerpt(node.lineno, {})
            if excerpt is not None and not excerpt.missing and _is_demand(excerpt):
                yield demand(excerpt, packages)


def _is_demand(excerpt: Excerpt) -> bool:
    """Whether an excerpt says what a use should give; a loop does where it asserts."""
    last = excerpt.check.body[-1] if excerpt.check.body else None
    loops = isinstance(last, ast.For) and any(isinstance(inner, ast.Assert) for inner in ast.walk(last))
    return excerpt.check.kind != "runs" or loops


def _mentions(node: ast.AST, absent: Absent, module: SourceModule) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and absent.name and inner.attr == absent.name:
            return True
        if isinstance(inner, ast.Name):
            dotted = module.imports.modules.get(inner.id, "")
            if absent.name and (inner.id == absent.name or dotted == f"{absent.module}.{absent.name}"):
                return True
            if not absent.name and dotted.startswith(absent.module):
                return True
    return False
