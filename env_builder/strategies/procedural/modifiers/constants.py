"""Constants and positions that are off by one, flags that are flipped, texts that are emptied, defaults that differ."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function

_LITERALS = ("integer", "float", "true", "false", "string")
_POSITIONAL_PARENTS = ("subscript", "slice")


def change_constant(function: Function) -> Iterator[Edit]:
    """``1`` becomes ``2``, ``True`` becomes ``False``, ``"a"`` becomes ``""`` and ``""`` becomes ``" "``."""
    for node in function.nodes(*_LITERALS):
        if not _is_position(function, node) and not (node.type == "string" and _is_documentation(node)):
            yield from (replace(node, text) for text in _others(function.text(node), node.type))


def change_default(function: Function) -> Iterator[Edit]:
    """The default value of a parameter is another one."""
    parameters = function.node.child_by_field_name("parameters")
    for parameter in [] if parameters is None else parameters.named_children:
        value = parameter.child_by_field_name("value")
        if parameter.type in ("default_parameter", "typed_default_parameter") and value is not None:
            texts = _others(function.text(value), value.type) if value.type in _LITERALS else []
            yield from (replace(value, text) for text in texts[:1])


def off_by_one(function: Function) -> Iterator[Edit]:
    """A bound of a slice or of ``range``, or an index, is one too high or too low."""
    for node in function.nodes("slice"):
        yield from (replace(bound, _shifted(function, bound)) for bound in _slice_bounds(node))
    for node in function.nodes("subscript"):
        index = node.child_by_field_name("subscript")
        if index is not None and _is_number(index):
            yield replace(index, _shifted(function, index))
    for node in function.nodes("call"):
        arguments = node.child_by_field_name("arguments")
        if function.field(node, "function") == b"range" and arguments is not None:
            bounds = [child for child in arguments.named_children if child.type not in ("comment", "list_splat")]
            yield from (replace(bound, _shifted(function, bound)) for bound in bounds[:2])


def _others(text: bytes, kind: str) -> list[bytes]:
    if kind in ("true", "false"):
        return [b"False" if kind == "true" else b"True"]
    if kind == "integer":
        number = _number(text)
        return [] if number is None else [b"%d" % (number + 1), b"%d" % (number - 1 if number else number + 2)]
    if kind == "float":
        return [text + b" + 1.0"] if text.startswith(b"0.") else []
    prefix = text[: min(text.find(quote) for quote in (b"'", b'"') if quote in text)]
    if b"f" in prefix.lower() or text[len(prefix) : len(prefix) + 3] in (b"'''", b'"""'):
        return []
    quote = text[len(prefix) : len(prefix) + 1]
    empty = len(text) == len(prefix) + 2
    return [prefix + quote + (b" " if empty else b"") + quote]


def _number(text: bytes) -> int | None:
    """Value of an integer literal that is written in decimal."""
    digits = text.replace(b"_", b"")
    return int(digits) if digits.isdigit() else None


def _is_number(node: Node) -> bool:
    return node.type == "integer" or (node.type == "unary_operator" and node.named_children[0].type == "integer")


def _is_position(function: Function, node: Node) -> bool:
    """Whether ``off_by_one`` has charge of a literal."""
    parent = node.parent
    if parent is not None and parent.type == "unary_operator":
        parent = parent.parent
    if parent is None or node.type != "integer":
        return False
    ranged = parent.type == "argument_list" and parent.parent is not None
    return parent.type in _POSITIONAL_PARENTS or (ranged and function.field(parent.parent, "function") == b"range")  # type: ignore[arg-type]


def _is_documentation(node: Node) -> bool:
    """Parts of joined texts are looks more often than behaviour; a format that is emptied fails at once."""
    parent = node.parent
    formats = parent is not None and parent.type == "binary_operator" and parent.child_by_field_name("left") == node
    return parent is not None and (formats or parent.type in ("concatenated_string", "expression_statement"))


def _slice_bounds(node: Node) -> list[Node]:
    """Start and stop of a slice, the step left out."""
    bounds, colons = [], 0
    for child in node.children:
        colons += child.type == ":"
        if child.is_named and child.type != "comment" and colons < 2:
            bounds.append(child)
    return bounds


def _shifted(function: Function, node: Node) -> bytes:
    text = function.text(node)
    if node.type == "integer":
        number = _number(text)
        return text + b" + 1" if number is None else b"%d" % (number + 1)
    if node.type in ("identifier", "call", "attribute", "subscript", "binary_operator", "unary_operator"):
        return text + b" - 1"
    return b"(" + text + b") - 1"
