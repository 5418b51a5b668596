"""Conditions that say the opposite, and chains of conditions or operands that lose a link."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function

_OPPOSITE = {
    b"==": b"!=",
    b"!=": b"==",
    b"<": b">=",
    b">=": b"<",
    b">": b"<=",
    b"<=": b">",
    b"in": b"not in",
    b"not in": b"in",
    b"is": b"is not",
    b"is not": b"is",
}

_BINDS_TIGHTER_THAN_NOT = frozenset(
    {"identifier", "call", "attribute", "subscript", "parenthesized_expression", "comparison_operator"}
)


def invert_condition(function: Function) -> Iterator[Edit]:
    """``if a == b`` becomes ``if a != b``, ``if x`` becomes ``if not x``."""
    for node in function.nodes("if_statement", "elif_clause", "while_statement", "conditional_expression", "if_clause"):
        condition = _condition(node)
        if condition is not None and condition.type not in ("true", "false", "integer"):
            yield replace(condition, negation(function, condition))


def break_chain(function: Function) -> Iterator[Edit]:
    """``a < b < c`` loses a comparison, ``a and b`` a condition, ``a + b + c`` its last operand."""
    for node in function.nodes("comparison_operator", "boolean_operator", "binary_operator"):
        operands = [child for child in node.named_children if child.type != "comment"]
        if node.type == "boolean_operator":
            yield from (replace(node, function.text(operand)) for operand in operands)
        elif node.type == "comparison_operator" and len(operands) > 2:
            yield Edit(operands[-2].end_byte, node.end_byte, b"")
            yield Edit(node.start_byte, operands[1].start_byte, b"")
        elif node.type == "binary_operator" and operands[0].type == "binary_operator":
            yield Edit(operands[0].end_byte, node.end_byte, b"")


def negation(function: Function, condition: Node) -> bytes:
    """Source of the opposite of a condition, as a programmer would write it."""
    text = function.text(condition)
    if condition.type == "not_operator":
        return function.field(condition, "argument")
    operators = condition.children_by_field_name("operators")
    if condition.type == "comparison_operator" and len(operators) == 1:
        opposite = _OPPOSITE.get(b" ".join(function.text(operators[0]).split()))
        if opposite is not None:
            start, end = (at - condition.start_byte for at in (operators[0].start_byte, operators[0].end_byte))
            return text[:start] + opposite + text[end:]
    return b"not " + (text if condition.type in _BINDS_TIGHTER_THAN_NOT else b"(" + text + b")")


def _condition(node: Node) -> Node | None:
    if node.type == "conditional_expression":
        return [child for child in node.named_children if child.type != "comment"][1]
    if node.type == "if_clause":
        return node.named_children[0]
    return node.child_by_field_name("condition")
