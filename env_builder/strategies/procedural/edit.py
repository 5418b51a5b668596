"""An edit: one byte range of a file, replaced. The currency between modifiers and the strategy."""

from typing import NamedTuple

from tree_sitter import Node


class Edit(NamedTuple):
    """Bytes ``start`` to ``end`` (exclusive) become ``text``."""

    start: int
    end: int
    text: bytes

    def apply(self, source: bytes) -> bytes:
        """The file after the edit."""
        return source[: self.start] + self.text + source[self.end :]


def replace(node: Node, text: bytes) -> Edit:
    """The edit that puts ``text`` in a node's place."""
    return Edit(node.start_byte, node.end_byte, text)
