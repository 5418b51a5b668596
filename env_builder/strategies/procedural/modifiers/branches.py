"""Branches, guards, loops and wrappers that are gone while what they held is kept, or the other way round."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.statements import (
    append_statement,
    remove_statement,
    replace_by_block,
    siblings,
    stands_alone,
)

_EXITS = ("raise_statement", "return_statement", "continue_statement", "break_statement", "assert_statement")


def remove_branch(function: Function) -> Iterator[Edit]:
    """An ``elif``, ``else`` or ``case`` is gone, an ``if`` is gone with its body, or its body always runs."""
    for node in function.nodes("if_statement"):
        alternatives = node.children_by_field_name("alternative")
        body = node.child_by_field_name("consequence")
        if body is None or (not alternatives and is_guard(node)):
            continue
        yield from _without_alternative(function, alternatives)
        if not alternatives:
            yield from _present(remove_statement(function, node))
        yield from _present(replace_by_block(function, node, body))
        if len(alternatives) == 1 and alternatives[0].type == "else_clause":
            other = alternatives[0].child_by_field_name("body")
            yield from _present(replace_by_block(function, node, other) if other is not None else None)
    for node in function.nodes("conditional_expression"):
        chosen = [child for child in node.named_children if child.type != "comment"]
        yield from (replace(node, function.text(part)) for part in (chosen[0], chosen[-1]))
    for node in function.nodes("case_clause"):
        if node.parent is not None and len(siblings(node.parent)) > 1:
            yield from _present(remove_statement(function, node))


def remove_guard(function: Function) -> Iterator[Edit]:
    """A check that leaves early (``if bad: raise``), a ``raise`` or an ``assert`` is gone."""
    for node in function.nodes("if_statement"):
        if is_guard(node) and node.child_by_field_name("alternative") is None:
            yield from _present(remove_statement(function, node))
    for node in function.nodes("raise_statement", "assert_statement"):
        if node.parent is not None and not (node.parent.parent is not None and is_guard(node.parent.parent)):
            yield from _present(remove_statement(function, node))


def remove_loop(function: Function) -> Iterator[Edit]:
    """A loop ends after its first turn, a ``while`` is an ``if``, or the loop is gone."""
    for node in function.nodes("for_statement", "while_statement"):
        body = node.child_by_field_name("body")
        if body is None:
            continue
        jumps = _holds(body, ("break_statement", "continue_statement"))
        plain = node.child_by_field_name("alternative") is None
        if node.type == "while_statement" and not jumps and plain:
            yield Edit(node.start_byte, node.start_byte + len(b"while"), b"if")
        else:
            yield from _present(append_statement(function, body, b"break"))
        if plain and not _holds(body, ("yield", "return_statement")):
            yield from _present(remove_statement(function, node))


def remove_wrapper(function: Function) -> Iterator[Edit]:
    """``try`` and its handlers, or a ``with`` that binds no name, are gone; the body stays."""
    for node in function.nodes("try_statement", "with_statement"):
        body = node.child_by_field_name("body")
        if body is None or (node.type == "with_statement" and _holds(node.named_children[0], ("as_pattern",))):
            continue
        yield from _present(replace_by_block(function, node, body))


def change_jump(function: Function) -> Iterator[Edit]:
    """``continue`` becomes ``break`` and, in a ``for`` loop, ``break`` becomes ``continue``."""
    for node in function.nodes("continue_statement", "break_statement"):
        if node.type == "continue_statement":
            yield replace(node, b"break")
        elif _loop_of(node) == "for_statement":
            yield replace(node, b"continue")


def is_guard(node: Node) -> bool:
    """Whether a statement is an ``if`` whose body does nothing but leave."""
    body = node.child_by_field_name("consequence") if node.type == "if_statement" else None
    inside = siblings(body) if body is not None else []
    return len(inside) == 1 and inside[0].type in _EXITS


def _without_alternative(function: Function, alternatives: list[Node]) -> Iterator[Edit]:
    for alternative in alternatives:
        if stands_alone(function, alternative):
            start = function.source.rfind(b"\n", 0, alternative.start_byte)
            yield Edit(start, alternative.end_byte, b"")


def _present(edit: Edit | None) -> Iterator[Edit]:
    if edit is not None:
        yield edit


def _holds(node: Node, types: tuple[str, ...]) -> bool:
    return node.type in types or any(_holds(child, types) for child in node.named_children)


def _loop_of(node: Node) -> str:
    while node.parent is not None:
        node = node.parent
        if node.type in ("for_statement", "while_statement"):
            return node.type
    return ""
