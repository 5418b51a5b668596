"""What binds the names of a scope of Python: the first thing to know before a value may be called fixed."""

import ast
from collections.abc import Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Bindings = dict[str, list[ast.AST]]
"""Each name with the nodes that bind it: an import, a definition, an assignment, a loop, or something else."""


def bindings_of(body: Iterable[ast.stmt], *, inner: bool) -> Bindings:
    """What binds the names of a scope.

    Args:
        body: the statements of the scope.
        inner: count what functions and classes inside it bind as well, as if it were all one scope. Too much then
            counts as bound, never too little.
    """
    found: Bindings = {}
    for statement in body:
        for name, node in _bound(statement, inner):
            found.setdefault(name, []).append(node)
    return found


def loaded_names(node: ast.AST) -> Iterator[ast.Name]:
    """All places below a node where a name is read."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner


def _bound(node: ast.AST, inner: bool) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            yield name, node
        case ast.For(target=target):
            yield from ((name.id, node) for name in ast.walk(target) if isinstance(name, ast.Name))
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (((alias.asname or alias.name).partition(".")[0], node) for alias in aliases)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, node
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, node
        case (
            ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name)
        ):
            yield name, node
        case ast.MatchMapping(rest=str() as name) | ast.arg(arg=name):
            yield name, node
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from ((name, node) for name in names)
    yield from _bound_below(node, inner)


def _bound_below(node: ast.AST, inner: bool) -> Iterator[tuple[str, ast.AST]]:
    if not inner and isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        # Only what such a scope declares to be of the scope around it.
        for below in ast.walk(node):
            if isinstance(below, ast.Global):
                yield from ((name, below) for name in below.names)
        return
    own_targets: list[ast.AST] = []
    match node:
        case ast.Assign(targets=[ast.Name() as target]) | ast.AnnAssign(target=ast.Name() as target):
            own_targets = [target]
        case ast.For(target=target):
            own_targets = [target]
    for below in ast.iter_child_nodes(node):
        if below not in own_targets:
            yield from _bound(below, inner)
