"""What a test module defines by itself: functions and classes that reach nothing of the project."""

import ast
from collections.abc import Collection

from blockers.oracle.bindings import bindings_of, loaded_names

Definition = ast.FunctionDef | ast.ClassDef


def free_names(node: Definition) -> set[str] | None:
    """The names of the module that a definition reads; None where it changes some."""
    if any(isinstance(inner, ast.Global | ast.Nonlocal) for inner in ast.walk(node)):
        return None
    own = set(bindings_of(node.body, inner=True))
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            own |= {name for part in ast.walk(inner.args) for name in _argument(part)}
    return {name.id for name in loaded_names(node)} - own


def shadowed(node: Definition, module: Collection[str]) -> bool:
    """Whether a name means one thing within a definition and another one in its module: then it is not known which."""
    inside = set(bindings_of(node.body, inner=True))
    return bool(inside & set(module) & {name.id for name in loaded_names(node)})


def class_callables(module: ast.Module) -> dict[str, list[ast.expr | Definition]]:
    """Attributes that are bound in the module's classes and nowhere else, with what each is bound to: a static method,
    or an expression. Attributes that are bound otherwise are left out."""
    stored = {
        node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    }
    found: dict[str, list[ast.expr | Definition]] = {}
    odd: set[str] = set(stored)
    for node in ast.walk(module):
        for name, bound in bindings_of(node.body, inner=False).items() if isinstance(node, ast.ClassDef) else ():
            for one in bound:
                match one:
                    case ast.FunctionDef(decorator_list=[ast.Name(id="staticmethod")]):
                        found.setdefault(name, []).append(one)
                    case ast.Assign(value=value):
                        found.setdefault(name, []).append(value)
                    case _:
                        odd.add(name)
    return {name: bound for name, bound in found.items() if name not in odd}


def _argument(node: ast.AST) -> tuple[str, ...]:
    return (node.arg,) if isinstance(node, ast.arg) else ()
