"""Statements that go missing or change places: assignments, calls made for their effect, neighbours that depend."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.statements import remove_statement, siblings, stands_alone

_NAME = re.compile(rb"[A-Za-z_]\w*")
_LEAVES = ("return_statement", "raise_statement", "break_statement", "continue_statement")


def remove_assignment(function: Function) -> Iterator[Edit]:
    """An assignment is gone: the name keeps its older value, or has none."""
    for node in function.nodes("expression_statement"):
        if node.named_children[0].type in ("assignment", "augmented_assignment"):
            edit = remove_statement(function, node)
            if edit is not None:
                yield edit


def remove_call(function: Function) -> Iterator[Edit]:
    """A call made for its effect is gone (``self._items.clear()``)."""
    for node in function.nodes("expression_statement"):
        if node.named_children[0].type == "call":
            edit = remove_statement(function, node)
            if edit is not None:
                yield edit


def shuffle_statements(function: Function) -> Iterator[Edit]:
    """Two neighbours of which one depends on the other change places; no name is then used before it is bound."""
    blocks = [function.body, *function.nodes("block")]
    for block in blocks:
        for first, second in pairwise(siblings(block)):
            if first.type in _LEAVES or second.type in _LEAVES or not _depend(function, first, second):
                continue
            if stands_alone(function, first) and stands_alone(function, second):
                between = function.source[first.end_byte : second.start_byte]
                yield Edit(first.start_byte, second.end_byte, function.text(second) + between + function.text(first))


def _depend(function: Function, first: Node, second: Node) -> bool:
    """Whether one statement writes a name that the other uses."""
    if first.type in ("function_definition", "class_definition", "decorated_definition", "import_statement"):
        return False
    needed = _written(function, first) & _used(function, second)
    needed_first = _written(function, second) & _used(function, first)
    return bool(needed or needed_first) and needed <= _seen_before(function, first)


def _seen_before(function: Function, node: Node) -> set[bytes]:
    """Names that occur in the function before a statement: parameters, and what earlier statements bind or use."""
    parameters = set(_NAME.findall(function.field(function.node, "parameters")))
    return parameters | {
        function.text(name) for name in function.nodes("identifier") if name.start_byte < node.start_byte
    }


def _used(function: Function, node: Node) -> set[bytes]:
    own = {function.text(node)} if node.type == "identifier" else set()
    return own.union(*(_used(function, child) for child in node.named_children))


def _written(function: Function, node: Node) -> set[bytes]:
    """Names that a statement binds, stores into, or calls a method of."""
    names: set[bytes] = set()
    if node.type in ("assignment", "augmented_assignment", "for_statement"):
        left = node.child_by_field_name("left")
        names |= set() if left is None else _roots(function, left)
    if node.type == "expression_statement" and node.named_children[0].type == "call":
        called = node.named_children[0].child_by_field_name("function")
        names |= _roots(function, called) if called is not None and called.type == "attribute" else set()
    return names.union(*(_written(function, child) for child in node.named_children))


def _roots(function: Function, target: Node) -> set[bytes]:
    """The names that a target stores into: ``a`` of ``a``, ``a.b``, ``a[i]``."""
    if target.type == "identifier":
        return {function.text(target)}
    if target.type in ("attribute", "subscript"):
        return _roots(function, target.named_children[0])
    return set().union(*(_roots(function, child) for child in target.named_children))
