"""Other names for the local variables of functions: no other program, but other words."""

import ast
import re
import symtable
from collections.abc import Iterator, Sequence

from env_builder.strategies.procedural.function import Function

_READS_NAMES = re.compile(rb"\b(locals|vars|dir|eval|exec|_getframe|currentframe)\b")
"""A function that holds one of these may look its variables up by name."""

_NAMING = {
    ast.Name: "id",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}
"""Nodes that name a variable, and the field in which they do."""


def rename_locals(tree: ast.Module, source: bytes, touched: Sequence[Function]) -> bool:
    """Rename the local variables of functions in the syntax tree of their file, in place; whether there were any.

    Parameters, imports, inner functions and classes keep their names, and so do variables that an inner scope binds
    as well.
    """
    lines = {one.node.start_point.row + 1 for one in touched if not _READS_NAMES.search(one.text(one.node))}
    scopes = {
        (one.get_lineno(), one.get_name()): one
        for one in _outermost(symtable.symtable(source.decode("utf-8-sig"), "", "exec"))
    }
    renamed = False
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno in lines:
            new = {name: _new_name(name, source) for name in _own_names(scopes[node.lineno, node.name])}
            renamed |= bool(new)
            for statement in node.body:  # defaults and decorators are not of this scope
                _rename(statement, new)
    return renamed


def _outermost(table: symtable.SymbolTable) -> Iterator[symtable.Function]:
    """The functions at module and class level."""
    for child in table.get_children():
        if isinstance(child, symtable.Function):
            yield child
        else:
            yield from _outermost(child)


def _own_names(function: symtable.Function) -> list[str]:
    """Variables that the function binds and no scope inside it does."""
    inner = list(_inside(function))
    found = []
    for symbol in function.get_symbols():
        fixed = symbol.is_parameter() or symbol.is_imported() or symbol.is_namespace()
        if symbol.is_local() and symbol.is_assigned() and not fixed and not _is_bound(symbol.get_name(), inner):
            found.append(symbol.get_name())
    return found


def _inside(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inside(child)


def _is_bound(name: str, scopes: Sequence[symtable.SymbolTable]) -> bool:
    """Whether one of the scopes does more with a name than read it from outside."""
    uses = [scope.lookup(name) for scope in scopes if name in scope.get_identifiers()]
    return any(not use.is_free() or use.is_assigned() for use in uses)


def _new_name(name: str, source: bytes) -> str:
    """A name that stands nowhere in the file."""
    new = f"{name}_renamed"
    while new.encode() in source:
        new += "_"
    return new


def _rename(statement: ast.stmt, new: dict[str, str]) -> None:
    for node in ast.walk(statement):
        field = _NAMING.get(type(node))
        old = getattr(node, field) if field else None
        if field and old in new:
            setattr(node, field, new[old])
