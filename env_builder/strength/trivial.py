"""Fixes that a lazy hand would write: a touched function gives nothing, gives its first argument back, or raises."""

from collections.abc import Iterator, Sequence

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.modifiers.results import parameter_names
from env_builder.strategies.procedural.statements import siblings
from env_builder.strength.attempt import Attempt, Kind
from env_builder.strength.solution import Solution


def trivial_fixes(solution: Solution, touched: Sequence[Function]) -> Iterator[Attempt]:
    """Each touched function with each trivial body in place of its own; its docstring stays."""
    for function in touched:
        statements = [child for child in siblings(function.body) if not _is_text(child)]
        if not statements:
            continue
        for how, body in _bodies(function):
            source = Edit(statements[0].start_byte, function.body.end_byte, body).apply(function.source)
            yield Attempt(Kind.TRIVIAL, how, function.target, solution.with_file(function.path, source))


def _bodies(function: Function) -> Iterator[tuple[str, bytes]]:
    yield "returns None", b"return None"
    names = parameter_names(function)
    if names:
        yield "returns its first argument", b"return " + names[0]
    yield "raises", b"raise NotImplementedError"


def _is_text(statement: Node) -> bool:
    return statement.type == "expression_statement" and statement.named_children[0].type == "string"
