"""The functions of a Python file and the parts of them that a modifier may touch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import tree_sitter_python
from tree_sitter import Language, Node, Parser

_HIDDEN = frozenset(
    {"comment", "type", "decorator", "global_statement", "nonlocal_statement", "future_import_statement"}
)
"""Never shown to a modifier: nothing in them is behaviour."""

_OPAQUE = frozenset(
    {
        "string",
        "concatenated_string",
        "raise_statement",
        "assert_statement",
        "import_statement",
        "import_from_statement",
    }
)
"""Shown, but not what is inside: a changed message or import path makes a dull bug."""

_NOISE = re.compile(rb"^(self\.|cls\.)?(_?log|_?logger|_?logging|LOG|LOGGER|warnings)\.\w+$|^(print|warn)$")
"""Calls whose arguments and presence no test is expected to notice."""

_DEAD = re.compile(rb"^(False|0|(typing\.|t\.)?TYPE_CHECKING|__name__\s*==\s*['\"]__main__['\"]|__debug__)$")
"""Conditions of blocks that tests never run."""

_NOT_TESTED = re.compile(rb"#.*pragma:.*no cover")

_VERSIONISH = re.compile(rb"^(__all__|_*version\w*|VERSION)$")
"""Names whose values are data about the project, not behaviour."""


@dataclass(frozen=True)
class Function:
    """A function or method at module or class level; functions inside it belong to it."""

    path: str
    qualname: str
    source: bytes
    """The whole file."""
    node: Node

    @property
    def target(self) -> str:
        """Where it stands, for people and as a key: ``path:qualname``."""
        return f"{self.path}:{self.qualname}"

    @property
    def body(self) -> Node:
        """The block of the function."""
        body = self.node.child_by_field_name("body")
        assert body is not None
        return body

    @cached_property
    def _all(self) -> tuple[Node, ...]:
        return tuple(self._walk(self.body))

    def nodes(self, *types: str) -> Iterator[Node]:
        """Nodes of the body of the given types, in source order, less those that no modifier may touch."""
        return (node for node in self._all if node.type in types)

    def text(self, node: Node) -> bytes:
        """Source of a node."""
        return self.source[node.start_byte : node.end_byte]

    def field(self, node: Node, name: str) -> bytes:
        """Source of a node's field; empty where it has none."""
        child = node.child_by_field_name(name)
        return b"" if child is None else self.text(child)

    def _walk(self, node: Node) -> Iterator[Node]:
        for child in node.children:
            if child.type in _HIDDEN or self._is_untouchable(child):
                continue
            yield child
            if child.type not in _OPAQUE and not (child.type == "parameters" or child.type == "lambda_parameters"):
                yield from self._walk(child)

    def _is_untouchable(self, node: Node) -> bool:
        if node.type == "expression_statement":
            inner = node.named_children[0] if node.named_children else None
            if inner is None or inner.type in ("string", "concatenated_string", "ellipsis"):
                return True
            if inner.type == "assignment":
                return bool(_VERSIONISH.match(self.field(inner, "left")))
            return inner.type == "call" and bool(_NOISE.match(self.field(inner, "function")))
        if node.type == "block" and node.parent is not None and node.parent.type == "if_statement":
            return bool(_DEAD.match(self.field(node.parent, "condition")))
        return (
            node.parent is not None
            and node.type == "if_statement"
            and bool(_DEAD.match(self.field(node, "condition")) and node.child_by_field_name("alternative") is None)
        )


def functions(path: str, source: bytes) -> Iterator[Function]:
    """The functions of a file, outermost only, in source order; those that do not parse cleanly are left out."""
    yield from _functions_of(path, source, _parser().parse(source).root_node, "")


def _functions_of(path: str, source: bytes, node: Node, prefix: str) -> Iterator[Function]:
    for child in node.named_children:
        name = child.child_by_field_name("name")
        if child.type == "function_definition" and name is not None:
            if not child.has_error and not _NOT_TESTED.search(
                source[child.start_byte : name.end_byte + 400].split(b"\n")[0]
            ):
                yield Function(path, prefix + source[name.start_byte : name.end_byte].decode(), source, child)
        elif child.type == "class_definition" and name is not None:
            inner = prefix + source[name.start_byte : name.end_byte].decode() + "."
            yield from _functions_of(path, source, child, inner)
        elif not _is_dead_branch(source, child):
            yield from _functions_of(path, source, child, prefix)


def _is_dead_branch(source: bytes, node: Node) -> bool:
    condition = node.child_by_field_name("condition") if node.type == "if_statement" else None
    return condition is not None and bool(_DEAD.match(source[condition.start_byte : condition.end_byte]))


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))
