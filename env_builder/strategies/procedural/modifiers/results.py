"""What a function gives back or raises is something else."""

from collections.abc import Iterator

from tree_sitter import Node

from env_builder.strategies.procedural.edit import Edit, replace
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.modifiers.conditions import negation

_BOOLEAN = ("comparison_operator", "not_operator")

_SISTER_ERRORS = {
    b"ValueError": b"TypeError",
    b"TypeError": b"ValueError",
    b"KeyError": b"IndexError",
    b"IndexError": b"KeyError",
    b"LookupError": b"ValueError",
    b"AttributeError": b"KeyError",
    b"StopIteration": b"ValueError",
    b"NotImplementedError": b"TypeError",
    b"RuntimeError": b"ValueError",
    b"OSError": b"ValueError",
    b"ZeroDivisionError": b"ValueError",
    b"UnicodeDecodeError": b"TypeError",
    b"ImportError": b"ValueError",
    b"Exception": b"KeyError",
}


def flip_return(function: Function) -> Iterator[Edit]:
    """A truth value is returned negated, a pair the other way round, anything else not at all."""
    for node in function.nodes("return_statement"):
        value = next((child for child in node.named_children if child.type != "comment"), None)
        if value is None or value.type == "none":
            continue
        items = [child for child in value.named_children if child.type != "comment"]
        if value.type in ("true", "false"):
            yield replace(value, b"False" if value.type == "true" else b"True")
        elif value.type in _BOOLEAN:
            yield replace(value, negation(function, value))
        elif value.type in ("tuple", "expression_list") and len(items) == 2:
            first, second = items
            between = function.source[first.end_byte : second.start_byte]
            yield Edit(first.start_byte, second.end_byte, function.text(second) + between + function.text(first))
        else:
            yield replace(value, b"None")


def change_exception(function: Function) -> Iterator[Edit]:
    """Another exception is raised, or another one is caught."""
    for node in function.nodes("raise_statement", "except_clause"):
        for name in _exception_names(node):
            sister = _SISTER_ERRORS.get(function.text(name))
            if sister is not None:
                yield replace(name, sister)


def swap_variables(function: Function) -> Iterator[Edit]:
    """Where two of a function's parameters meet as plain names, one is used in the place of the other."""
    names = parameter_names(function)
    if len(names) < 2:
        return
    for node in function.nodes("identifier"):
        text = function.text(node)
        if text in names and _is_read(node):
            yield replace(node, names[(names.index(text) + 1) % len(names)])


def _exception_names(node: Node) -> list[Node]:
    """Identifiers of the exception types in a raise or an except, the blocks left out."""
    first = next((child for child in node.named_children if child.type not in ("comment", "block")), None)
    if first is not None and first.type == "as_pattern":
        first = first.named_children[0]
    if first is not None and first.type == "call":
        first = first.child_by_field_name("function")
    if first is None:
        return []
    return [first] if first.type == "identifier" else [child for child in first.named_children if first.type == "tuple"]


def parameter_names(function: Function) -> list[bytes]:
    """Names of a function's parameters in order, less ``self``, ``cls`` and those with a star."""
    parameters = function.node.child_by_field_name("parameters")
    names = []
    for parameter in [] if parameters is None else parameters.named_children:
        name = parameter.child_by_field_name("name")
        if parameter.type == "identifier":
            name = parameter
        elif parameter.type == "typed_parameter":
            name = parameter.named_children[0] if parameter.named_children[0].type == "identifier" else None
        if name is not None and function.text(name) not in (b"self", b"cls"):
            names.append(function.text(name))
    return names


def _is_read(node: Node) -> bool:
    """Whether an identifier is a value that is read: an argument, an operand, what is iterated or returned."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "for_statement":
        return parent.child_by_field_name("right") == node
    return parent.type in (
        "argument_list",
        "binary_operator",
        "comparison_operator",
        "boolean_operator",
        "return_statement",
        "for_in_clause",
    ) and (parent.type != "for_in_clause" or parent.child_by_field_name("right") == node)
