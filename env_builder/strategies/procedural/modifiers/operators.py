"""Operators: another one in an operator's place, or its operands the other way round."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function

_OTHER = {
    b"+": b"-",
    b"-": b"+",
    b"*": b"+",
    b"/": b"*",
    b"//": b"/",
    b"%": b"//",
    b"**": b"*",
    b"<<": b">>",
    b">>": b"<<",
    b"&": b"|",
    b"|": b"&",
    b"^": b"|",
    b"<": b"<=",
    b"<=": b"<",
    b">": b">=",
    b">=": b">",
    b"==": b"!=",
    b"!=": b"==",
    b"in": b"not in",
    b"not in": b"in",
    b"is": b"is not",
    b"is not": b"is",
    b"and": b"or",
    b"or": b"and",
}
"""The slip that is likeliest: a boundary off for an order, the neighbour for arithmetic."""

_ORDER_MATTERS = frozenset({b"-", b"/", b"//", b"%", b"**", b"<<", b">>", b"<", b"<=", b">", b">=", b"and", b"or"})
_OPERATIONS = ("binary_operator", "boolean_operator", "comparison_operator")
_TEXT = ("string", "concatenated_string")


def change_operator(function: Function) -> Iterator[Edit]:
    """``a + b`` becomes ``a - b``, ``a < b`` becomes ``a <= b``, ``a and b`` becomes ``a or b``, ``+=`` ``-=``."""
    for node in function.nodes(*_OPERATIONS, "augmented_assignment"):
        operator = _operator(node)
        if operator is None or _has_text_operand(node):
            continue
        text = b" ".join(function.text(operator).split())
        if node.type == "augmented_assignment":
            other = _OTHER.get(text.removesuffix(b"="))
            if other is not None:
                yield replace(operator, other + b"=")
        elif text in _OTHER:
            yield replace(operator, _OTHER[text])


def swap_operands(function: Function) -> Iterator[Edit]:
    """``a - b`` becomes ``b - a``; lists, tuples and texts that are joined are joined the other way round."""
    for node in function.nodes(*_OPERATIONS):
        operator, operands = _operator(node), _operands(node)
        if operator is None or len(operands) != 2 or operands[0].type == operands[1].type == "integer":
            continue
        left, right = operands
        symbol = function.text(operator)
        joins = symbol == b"+" and any(side.type in ("list", "tuple", *_TEXT, "call") for side in operands)
        formats = symbol == b"%" and left.type in _TEXT
        commutes = node.type == "boolean_operator" and _is_truth(function, left) and _is_truth(function, right)
        if (symbol in _ORDER_MATTERS or joins) and not formats and not commutes:
            between = function.source[left.end_byte : right.start_byte]
            yield replace(node, _wrapped(function, node, right) + between + _wrapped(function, node, left))


def _operator(node: Node) -> Node | None:
    """The operator of a node that has just one."""
    several = node.children_by_field_name("operators")
    return several[0] if len(several) == 1 else node.child_by_field_name("operator")


def _operands(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _has_text_operand(node: Node) -> bool:
    """Arithmetic on a literal text breaks with a TypeError that names the line: a dull bug."""
    arithmetic = node.type in ("binary_operator", "augmented_assignment")
    return arithmetic and any(child.type in _TEXT for child in _operands(node))


def _is_truth(function: Function, node: Node) -> bool:
    """Whether an operand is a test of its own, so that the order of two such rarely matters."""
    if node.type == "call":
        return function.field(node, "function") in (b"isinstance", b"callable", b"hasattr", b"issubclass")
    return node.type in ("comparison_operator", "not_operator")


def _wrapped(function: Function, parent: Node, node: Node) -> bytes:
    """An operand that moves keeps its meaning: what binds no tighter than its parent gets parentheses."""
    loose = {"boolean_operator", "lambda", "conditional_expression"}
    if parent.type != "boolean_operator":
        loose |= {"comparison_operator", "not_operator"}
    if parent.type == "binary_operator":
        loose |= {"binary_operator", "unary_operator"}
    text = function.text(node)
    return b"(" + text + b")" if node.type in loose else text
