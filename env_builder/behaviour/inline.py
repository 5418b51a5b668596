"""Examples without detours: ``result = f(1)`` and then ``result`` becomes ``f(1)``."""

import ast
from dataclasses import replace

from env_builder.behaviour.excerpt import Excerpt
from env_builder.behaviour.names import bound_names, read_names, touched_names


def inlined(excerpt: Excerpt) -> Excerpt:
    """The excerpt with plain names of its comparison replaced by what they stand for, where that changes nothing."""
    excerpt, right = _resolved(excerpt, excerpt.check.right)
    excerpt, left = _resolved(excerpt, excerpt.check.left)
    return replace(excerpt, check=excerpt.check._replace(left=left, right=right))


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
