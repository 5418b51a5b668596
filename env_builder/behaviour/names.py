"""Names in Python statements: which are read, which are written, which only change what they stand for."""

import ast
import builtins
from collections.abc import Iterable, Sequence

BUILTINS = frozenset(dir(builtins))

_CHANGING = (
    "pop",
    "read",
    "send",
    "next",
    "add",
    "append",
    "extend",
    "insert",
    "update",
    "clear",
    "remove",
    "set",
    "write",
)
"""How methods begin that change their object, or what it gives next."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def read_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that statements or expressions take from around them, builtins left out."""
    return set().union(*(_read(node) for node in nodes)) - BUILTINS


def needed_names(body: Sequence[ast.AST]) -> set[str]:
    """Names that statements, run one after the other, take from what was before them."""
    needed: set[str] = set()
    bound: set[str] = set()
    for node in body:
        inner = read_names([node])
        if isinstance(node, ast.For):
            inner = read_names([node.iter]) | (needed_names([*node.body, *node.orelse]) - bound_names(node.target))
        elif isinstance(node, ast.With):
            context = [item.context_expr for item in node.items]
            inner = read_names(context) | (needed_names(node.body) - {n for i in node.items for n in _bound_by(i)})
        needed |= inner - bound
        bound |= bound_names(node)
    return needed


def bound_names(node: ast.AST) -> set[str]:
    """Names that a statement binds."""
    found = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def touched_names(node: ast.AST) -> set[str]:
    """Names whose values a statement changes in place: ``x.add(1)``, ``x[0] = 1``, ``x.a = 1``, ``next(x)``."""
    found: set[str] = set()
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        found |= {root_name(node.value.func)} if isinstance(node.value.func, ast.Attribute) else set()
        found |= {argument.id for argument in node.value.args if isinstance(argument, ast.Name)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            found |= {root_name(inner.func)} if inner.func.attr.startswith(_CHANGING) else set()
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in ("next", "setattr"):
            found |= {root_name(argument) for argument in inner.args[:1]}
        elif isinstance(inner, ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load):
            found.add(root_name(inner))
    return found - {""}


def root_name(node: ast.AST) -> str:
    """``a`` of ``a``, ``a.b`` and ``a[0].c``; empty where the root is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _read(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load | ast.Del) else set()
    inner = set().union(*(_read(child) for child in ast.iter_child_nodes(node)))
    if isinstance(node, ast.AugAssign):
        inner |= {root_name(node.target)} - {""}
    if isinstance(node, _SCOPES):
        return inner - _parameters(node.args) - _bound_inside(node)
    if isinstance(node, _COMPREHENSIONS):
        return inner - {name for part in node.generators for name in bound_names(part.target)}
    if isinstance(node, ast.ExceptHandler) and node.name:
        return inner - {node.name}
    return inner


def _bound_by(item: ast.withitem) -> set[str]:
    return set() if item.optional_vars is None else bound_names(item.optional_vars)


def _bound_inside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    body = node.body if isinstance(node.body, list) else [node.body]
    return {name for statement in body for inner in ast.walk(statement) for name in _binds(inner)}


def _binds(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return (
        bound_names(node) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom) else set()
    )


def _parameters(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument is not None}
