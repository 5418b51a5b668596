"""Calls: an argument goes missing, two change places, a sister function is called, a conversion is skipped."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function

_OPTIONAL_LAST = frozenset(
    b"get pop getattr next max min split rsplit replace range enumerate round sum iter setdefault strip int".split()
)
"""Calls that still run without their last positional argument."""

_PAIRS = (
    b"min max",
    b"any all",
    b"append extend",
    b"startswith endswith",
    b"lstrip rstrip",
    b"find rfind",
    b"index rindex",
    b"split rsplit",
    b"partition rpartition",
    b"lower upper",
    b"keys values",
    b"union intersection",
    b"floor ceil",
    b"first last",
    b"takewhile dropwhile",
    b"nlargest nsmallest",
    b"bisect_left bisect_right",
)
"""Functions and methods that are easily mistaken for each other."""

_SISTERS = {one: other for pair in _PAIRS for one, other in (pair.split(), pair.split()[::-1])} | {
    b"popleft": b"pop",
    b"appendleft": b"append",
    b"strip": b"lstrip",
}

_CONVERSIONS = frozenset(b"list tuple set frozenset sorted reversed str int float abs iter bool dict bytes".split())


def drop_argument(function: Function) -> Iterator[Edit]:
    """A keyword argument, or a last positional one that may be left out, is not passed."""
    for node in function.nodes("call"):
        arguments = _arguments(node)
        name = _called_name(function, node)
        for before, argument in zip([None, *arguments], arguments, strict=False):
            optional = name in _OPTIONAL_LAST and argument == arguments[-1] and before is not None
            if name in (b"get", b"setdefault") and argument.type == "none":
                continue  # the default is None anyway
            if argument.type == "keyword_argument" or optional:
                yield _without(function, node, before, argument)


def swap_arguments(function: Function) -> Iterator[Edit]:
    """The first two positional arguments of a call change places."""
    for node in function.nodes("call"):
        arguments = _arguments(node)[:2]
        unlike = ("keyword_argument", "list_splat", "dictionary_splat")
        if len(arguments) == 2 and all(argument.type not in unlike for argument in arguments):
            first, second = arguments
            between = function.source[first.end_byte : second.start_byte]
            yield Edit(first.start_byte, second.end_byte, function.text(second) + between + function.text(first))


def change_call(function: Function) -> Iterator[Edit]:
    """A sister of the right function is called: ``min`` for ``max``, ``lstrip`` for ``rstrip``."""
    for node in function.nodes("call"):
        name = _name_node(node)
        if name is not None and function.text(name) in _SISTERS:
            yield replace(name, _SISTERS[function.text(name)])


def remove_conversion(function: Function) -> Iterator[Edit]:
    """``sorted(x)``, ``list(x)``, ``int(x)`` and the like become ``x``."""
    for node in function.nodes("call"):
        arguments = _arguments(node)
        if len(arguments) == 1 and function.field(node, "function") in _CONVERSIONS and _is_plain(arguments[0]):
            yield replace(node, function.text(arguments[0]))


def _arguments(call: Node) -> list[Node]:
    arguments = call.child_by_field_name("arguments")
    if arguments is None or arguments.type != "argument_list":
        return []
    return [child for child in arguments.named_children if child.type != "comment"]


def _name_node(call: Node) -> Node | None:
    called = call.child_by_field_name("function")
    return called.child_by_field_name("attribute") if called is not None and called.type == "attribute" else called


def _called_name(function: Function, call: Node) -> bytes:
    name = _name_node(call)
    return b"" if name is None else function.text(name)


def _without(function: Function, call: Node, before: Node | None, argument: Node) -> Edit:
    if before is not None:
        return Edit(before.end_byte, argument.end_byte, b"")
    end = argument.end_byte
    following = argument.next_named_sibling
    return Edit(argument.start_byte, end if following is None else following.start_byte, b"")


def _is_plain(node: Node) -> bool:
    return node.type in (
        "identifier",
        "call",
        "attribute",
        "subscript",
        "list_comprehension",
        "parenthesized_expression",
    )
