"""Edits of whole statements: taking one out, or putting a block's content in its owner's place, indentation kept."""

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function


def siblings(block: Node) -> list[Node]:
    """The statements of a block, comments left out."""
    return [child for child in block.named_children if child.type != "comment"]


def stands_alone(function: Function, node: Node) -> bool:
    """Whether a node has its lines to itself (no ``;``, no ``if x: y`` on one line); a trailing comment is allowed."""
    before = function.source[_line_start(function, node) : node.start_byte]
    after = function.source[node.end_byte : _line_end(function, node)].strip()
    return not before.strip() and (not after or after.startswith(b"#"))


def remove_statement(function: Function, node: Node) -> Edit | None:
    """Take a statement out, or put ``pass`` in its place where its block would be empty; None if it cannot be done."""
    if node.parent is None or not stands_alone(function, node):
        return None
    if len(siblings(node.parent)) == 1:
        return Edit(node.start_byte, node.end_byte, b"pass")
    return Edit(_line_start(function, node), min(_line_end(function, node) + 1, len(function.source)), b"")


def replace_by_block(function: Function, node: Node, block: Node) -> Edit | None:
    """Put the statements of ``block`` where ``node`` stands, dedented; None where they share lines with other code."""
    inside = siblings(block)
    if not inside or not stands_alone(function, node):
        return None
    first, last = inside[0], inside[-1]
    if not stands_alone(function, first) or not stands_alone(function, last):
        return None
    start = _line_start(function, first)
    lines = function.source[start : last.end_byte].split(b"\n")
    surplus = first.start_point.column - node.start_point.column
    frozen = _rows_inside_strings(block)
    row = first.start_point.row
    kept = [
        line if row + offset in frozen or not line[:surplus].isspace() else line[surplus:]
        for offset, line in enumerate(lines)
    ]
    return Edit(_line_start(function, node), node.end_byte, b"\n".join(kept))


def append_statement(function: Function, block: Node, statement: bytes) -> Edit | None:
    """Add a statement at the end of a block; None where the block is on its owner's line."""
    inside = siblings(block)
    if not inside or not stands_alone(function, inside[-1]):
        return None
    column = inside[0].start_point.column
    indent = function.source[inside[0].start_byte - column : inside[0].start_byte]
    end = _line_end(function, inside[-1])
    return Edit(end, end, b"\n" + indent + statement)


def _line_start(function: Function, node: Node) -> int:
    return function.source.rfind(b"\n", 0, node.start_byte) + 1


def _line_end(function: Function, node: Node) -> int:
    end = function.source.find(b"\n", node.end_byte)
    return len(function.source) if end < 0 else end


def _rows_inside_strings(node: Node) -> set[int]:
    """Rows that begin inside a string literal: their blanks are content."""
    if node.type == "string":
        return set(range(node.start_point.row + 1, node.end_point.row + 1))
    return {row for child in node.children for row in _rows_inside_strings(child)}
