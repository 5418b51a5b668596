"""Reads Python text into calls and facts, with names resolved through imports and simple assignments.

An agent's edits are fragments: a text that does not parse whole is tried as a body, with an open end closed, and with
its first and last lines left away. What still does not parse gives no facts.
"""

import ast
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tasks.syntax import parse_python

MAX_SOURCE = 200_000
"""Longest text that is read."""

_TRIMMED_LINES = 4

_MAX_PARTS = 200


class Call(NamedTuple):
    """One call in the code."""

    name: str
    """Dotted name, imports resolved: ``urllib.request.urlopen``; ``pathlib.Path.write_text`` for a method of a call."""
    arguments: tuple[object, ...]
    """Literal arguments in order; None where not literal. For a method of a call, those of that call come first."""
    node: ast.Call


@dataclass(frozen=True)
class Script:
    """A parsed text and the names known in it."""

    tree: ast.Module
    imports: Mapping[str, str]
    """Local name to dotted name."""
    values: Mapping[str, ast.expr]
    """Name to the one expression that is assigned to it; names assigned twice are left out."""

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All parts of the tree, once for all the rules that look through them."""
        return tuple(ast.walk(self.tree))

    def calls(self) -> Iterator[Call]:
        """All calls."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and (name := self.dotted(node.func)):
                own = [self.literal(argument) for argument in node.args]
                yield Call(name, (*self._receiver(node.func), *own), node)

    def dotted(self, node: ast.expr, *, depth: int = 0) -> str:
        """The dotted name of an expression, or empty."""
        if depth > 10:
            return ""
        if isinstance(node, ast.Name):
            if node.id in self.imports:
                return self.imports[node.id]
            value = self.values.get(node.id)
            if isinstance(value, ast.Call | ast.Attribute | ast.Name):
                return self.dotted(value, depth=depth + 1) or node.id
            return node.id
        if isinstance(node, ast.Attribute):
            inner = self.dotted(node.value, depth=depth + 1)
            return f"{inner}.{node.attr}" if inner else ""
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id == "__import__" and node.args:
                return str(self.literal(node.args[0]) or "")
            return self.dotted(node.func, depth=depth + 1)
        return ""

    def literal(self, node: ast.expr, *, depth: int = 0) -> object:
        """The value of a literal, of a name that stands for one, of ``sys.executable`` (``python``), or None."""
        if depth > 10:
            return None
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List | ast.Tuple):
            return [self.literal(part, depth=depth + 1) for part in node.elts[:_MAX_PARTS]]
        if isinstance(node, ast.Name) and node.id in self.values:
            return self.literal(self.values[node.id], depth=depth + 1)
        if isinstance(node, ast.JoinedStr):
            return "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = (self.literal(part, depth=depth + 1) for part in (node.left, node.right))
            return left + right if isinstance(left, str) and isinstance(right, str) else left or right
        if self.dotted(node) == "sys.executable":
            return "python"
        return None

    def _receiver(self, node: ast.expr) -> tuple[object, ...]:
        """The literal arguments of the call whose method is called."""
        if not isinstance(node, ast.Attribute):
            return ()
        value = self.values.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
        return tuple(self.literal(argument) for argument in value.args) if isinstance(value, ast.Call) else ()

    def strings(self) -> Iterator[str]:
        """All string constants except documentation."""
        documents = {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                yield node.value


def read_script(text: str) -> Script | None:
    """Parse a text, or as much of a fragment as can be parsed; None where nothing can."""
    tree = _parse_fragment(text[:MAX_SOURCE])
    if tree is None:
        return None
    imports: dict[str, str] = {}
    values: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        for name, value in _assigned(node):
            if name in values:
                twice.add(name)
            values[name] = value
    return Script(tree, imports, {name: value for name, value in values.items() if name not in twice})


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value
    elif isinstance(node, ast.With):
        for item in node.items:
            if isinstance(item.optional_vars, ast.Name):
                yield item.optional_vars.id, item.context_expr


def _parse_fragment(text: str) -> ast.Module | None:
    text = textwrap.dedent(text.strip("\n").expandtabs()) + "\n"
    for candidate in _candidates(text):
        try:
            return parse_python(candidate)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _candidates(text: str) -> Iterator[str]:
    """The text, then repaired forms of it, likely ones first."""
    yield text
    lines = text.splitlines()
    filled = [line for line in lines if line.strip()]
    if not filled:
        return
    indent = len(filled[-1]) - len(filled[-1].lstrip())
    yield f"{text}{' ' * (indent + 4)}pass\n"
    body = textwrap.indent(text, "    ")
    yield f"def _():\n{body}"
    yield f"def _():\n{body}{' ' * (indent + 8)}pass\n"
    # The first line stands deeper than the rest, or not as deep: each with an indentation of its own.
    first = filled[0]
    yield "\n".join([first.lstrip(), *textwrap.dedent("\n".join(lines[1:])).splitlines()]) + "\n"
    rest = textwrap.dedent("\n".join(lines[1:])).splitlines()
    yield "\n".join(["if 1:", *("    " + line for line in [first.lstrip(), *rest])]) + "\n"
    for count in range(1, min(_TRIMMED_LINES, len(filled))):
        yield textwrap.dedent("\n".join(filled[count:])) + "\n"
        yield textwrap.dedent("\n".join(filled[:-count])) + "\n"
