"""Examples without detours: ``result = f(1)`` and then ``result`` becomes ``f(1)``; ``g = lib.g`` is left out."""

import ast
import copy
from dataclasses import replace
from typing import TypeVar

from env_builder.behaviour.excerpt import Excerpt
from env_builder.behaviour.names import bound_names, read_names, root_name, touched_names

NodeType = TypeVar("NodeType", bound=ast.AST)


def inlined(excerpt: Excerpt) -> Excerpt:
    """The excerpt with plain names of its comparison replaced by what they stand for, where that changes nothing."""
    for name, value in _aliases(excerpt).items():
        excerpt = _without_alias(excerpt, name, value)
    excerpt, right = _resolved(excerpt, excerpt.check.right)
    excerpt, left = _resolved(excerpt, excerpt.check.left)
    return replace(excerpt, check=excerpt.check._replace(left=left, right=right))


class _Replace(ast.NodeTransformer):
    """Puts a dotted name in the place of a plain one."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name = name
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace the name where it is read."""
        return self._value if node.id == self._name and isinstance(node.ctx, ast.Load) else node


def _aliases(excerpt: Excerpt) -> dict[str, ast.expr]:
    """Names that only stand for a function or class of an imported module."""
    bound = [name for node in excerpt.setup for name in bound_names(node)]
    found: dict[str, ast.expr] = {}
    for node in excerpt.setup:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and len(node.targets) == 1:
            name, value = node.targets[0].id, node.value
            dotted = isinstance(value, ast.Attribute) and root_name(value) in excerpt.origins
            if dotted and ast.unparse(value).replace(".", "").isidentifier() and bound.count(name) == 1:
                found[name] = value
    return found


def _without_alias(excerpt: Excerpt, name: str, value: ast.expr) -> Excerpt:
    def put(node: NodeType) -> NodeType:
        changed: NodeType = _Replace(name, value).visit(copy.deepcopy(node))
        return ast.fix_missing_locations(changed)

    check = excerpt.check
    return replace(
        excerpt,
        setup=[put(node) for node in excerpt.setup if name not in bound_names(node)],
        check=check._replace(
            body=tuple(put(node) for node in check.body),
            left=put(check.left) if check.left is not None else None,
            right=put(check.right) if check.right is not None else None,
        ),
    )


def _resolved(excerpt: Excerpt, node: ast.expr | None) -> tuple[Excerpt, ast.expr | None]:
    """What a plain name stands for, and the excerpt without its definition."""
    at = _only_definition(excerpt, node.id) if isinstance(node, ast.Name) else None
    if at is None:
        return excerpt, node
    definition = excerpt.setup[at]
    assert isinstance(definition, ast.Assign)
    return replace(excerpt, setup=[*excerpt.setup[:at], *excerpt.setup[at + 1 :]]), definition.value


def _only_definition(excerpt: Excerpt, name: str) -> int | None:
    """Position of the one plain assignment to a name that is used once, if nothing after it could change its value."""
    about = [
        index
        for index, node in enumerate(excerpt.setup)
        if name in bound_names(node) | read_names([node]) | touched_names(node)
    ]
    uses = sum(
        isinstance(node, ast.Name) and node.id == name for side in excerpt.check.nodes() for node in ast.walk(side)
    )
    if len(about) != 1 or uses != 1:
        return None
    definition = excerpt.setup[about[0]]
    if not (
        isinstance(definition, ast.Assign)
        and len(definition.targets) == 1
        and isinstance(definition.targets[0], ast.Name)
    ):
        return None
    later = excerpt.setup[about[0] + 1 :]
    changed = set().union(*(bound_names(node) | touched_names(node) for node in later))
    return None if changed & read_names([definition.value]) else about[0]
