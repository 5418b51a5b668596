"""Which expressions of a test have a value that no code under test can change.

An expression is *pinned* if it is made of literals, of whitelisted builtins and modules of the standard library, and of
names that are bound once to such a thing. It is *fixed* if its value is immutable besides, so that it stays what it is
where the code under test gets hold of it. What is not recognised is neither: then nothing is taken apart.
"""

import ast
import builtins
from collections.abc import Collection
from typing import NamedTuple

from blockers.oracle.bindings import COMPREHENSIONS, Bindings

_MAKES_FIXED = frozenset({"bool", "bytes", "chr", "complex", "float", "int", "len", "ord", "range", "repr", "str"})

_PURE = _MAKES_FIXED | frozenset(
    {"abs", "all", "any", "dict", "divmod", "enumerate", "filter", "frozenset", "list", "map", "max", "min", "pow"}
    | {"reversed", "round", "set", "slice", "sorted", "sum", "tuple", "zip"}
)
"""Builtins whose result follows from their arguments."""

_PURE_MODULES = frozenset(
    {
        "cmath",
        "collections",
        "copy",
        "fractions",
        "functools",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "statistics",
    }
    | {"string", "textwrap"}
)

_PARTS = (
    *(
        ast.Constant,
        ast.Tuple,
        ast.List,
        ast.Set,
        ast.Dict,
        ast.Starred,
        ast.UnaryOp,
        ast.BinOp,
        ast.BoolOp,
        ast.Compare,
    ),
    *(ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.Subscript, ast.Slice, ast.Attribute, *COMPREHENSIONS),
)
"""Expressions that are pinned where all that stands in them is."""


class Scope(NamedTuple):
    """Where an expression stands."""

    module: Bindings
    """What binds the names of the module."""
    local: Bindings
    """What binds the names of the function; of functions in it too."""
    columns: dict[str, bool]
    """Parameters that get their values from ``parametrize``, and whether all of these are fixed."""

    def single(self, name: str) -> ast.AST | None:
        """What binds a name, where exactly one thing does."""
        nodes = self.local.get(name) or self.module.get(name) or []
        return nodes[0] if len(nodes) == 1 else None

    def is_builtin(self, name: str) -> bool:
        """Whether a name is Python's own."""
        return (
            name not in self.local and name not in self.module and name not in self.columns and hasattr(builtins, name)
        )


def is_pinned(node: ast.expr, scope: Scope, free: Collection[str] = (), *, depth: int = 0) -> bool:
    """Whether an expression is pinned.

    Args:
        free: names to take for pinned: of comprehensions around it, or of values that only expectations use.
    """
    if depth > 40:
        return False
    match node:
        case ast.Name(id=name):
            return name in free or is_fixed(node, scope, depth=depth + 1) or _is_pure_name(name, scope, depth + 1)
        case ast.Attribute(value=ast.Name(id=name)) if name not in free and _module_of(name, scope):
            return True
        case ast.Lambda(args=arguments, body=body) if _plain_arguments(arguments):
            names = {*free, *(argument.arg for argument in arguments.args)}
            return is_pinned(body, scope, names, depth=depth + 1)
        case ast.Call(func=func, args=args, keywords=keywords):
            values = [*args, *(keyword.value for keyword in keywords)]
            return _is_pure_callee(func, scope, free, depth + 1) and all(
                is_pinned(value, scope, free, depth=depth + 1) for value in values
            )
    if not isinstance(node, _PARTS):
        return False
    if isinstance(node, COMPREHENSIONS):
        free = {
            *free,
            *(name.id for part in node.generators for name in ast.walk(part.target) if isinstance(name, ast.Name)),
        }
    return all(is_pinned(part, scope, free, depth=depth + 1) for part in _expressions(node))


def is_fixed(node: ast.expr, scope: Scope, *, depth: int = 0) -> bool:
    """Whether an expression is pinned and its value immutable."""
    if depth > 40:
        return False
    match node:
        case ast.Constant(value=value):
            return value is not ...
        case ast.Tuple() | ast.UnaryOp() | ast.BinOp() | ast.JoinedStr() | ast.FormattedValue():
            return all(is_fixed(part, scope, depth=depth + 1) for part in _expressions(node))
        case ast.Name(id=name):
            return _is_fixed_name(name, scope, depth + 1)
        case ast.Attribute(value=ast.Name(id=name)):
            return _module_of(name, scope) in ("string", "math")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return (
                name in _MAKES_FIXED
                and scope.is_builtin(name)
                and all(is_pinned(argument, scope, depth=depth + 1) for argument in args)
            )
    return False


def fixed_rounds(node: ast.expr, scope: Scope) -> bool:
    """Whether a loop over an expression goes round the same number of times whatever the code under test does."""
    match node:
        case ast.List() | ast.Tuple():
            return not any(isinstance(element, ast.Starred) for element in node.elts)
        case ast.Call(func=ast.Name(id="enumerate" | "zip" | "reversed" | "sorted" as name), args=args, keywords=[]):
            return scope.is_builtin(name) and all(fixed_rounds(argument, scope) for argument in args)
    return is_fixed(node, scope)


def rows_of(target: ast.expr, iterable: ast.expr) -> dict[str, list[ast.expr]] | None:
    """What each name of a loop's target becomes, one expression a round, where both are written out; else None."""
    if not isinstance(iterable, ast.List | ast.Tuple):
        return None
    if isinstance(target, ast.Name):
        return {target.id: list(iterable.elts)}
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    names = [name.id for name in target.elts if isinstance(name, ast.Name)]
    rows = [row.elts for row in iterable.elts if isinstance(row, ast.Tuple | ast.List) and len(row.elts) == len(names)]
    starred = any(isinstance(cell, ast.Starred) for row in rows for cell in row)
    if len(names) != len(target.elts) or len(rows) != len(iterable.elts) or starred:
        return None
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _expressions(node: ast.expr) -> list[ast.expr]:
    """The expressions that stand directly in another one; those of a comprehension's parts too."""
    found = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
    if isinstance(node, COMPREHENSIONS):
        found += [part.iter for part in node.generators] + [test for part in node.generators for test in part.ifs]
    return found


def _is_fixed_name(name: str, scope: Scope, depth: int) -> bool:
    if name in scope.columns and name not in scope.local:
        return scope.columns[name]
    match scope.single(name):
        case ast.Assign(value=value):
            return is_fixed(value, scope, depth=depth)
        case ast.For(target=target, iter=iterable):
            return _is_fixed_target(name, target, iterable, scope, depth)
    return False


def _is_fixed_target(name: str, target: ast.expr, iterable: ast.expr, scope: Scope, depth: int) -> bool:
    rows = rows_of(target, iterable)
    if rows is not None and name in rows:
        return all(is_fixed(value, scope, depth=depth) for value in rows[name])
    match target, iterable:
        case ast.Tuple(elts=[first, second]), ast.Call(func=ast.Name(id="enumerate"), args=[inner], keywords=[]):
            counts = isinstance(first, ast.Name) and first.id == name and scope.is_builtin("enumerate")
            return counts or _is_fixed_target(name, second, inner, scope, depth)
        case ast.Name(), ast.Constant(value=str() | bytes()) | ast.Attribute():
            return is_fixed(iterable, scope, depth=depth)
        case ast.Name(), ast.Call(func=ast.Name(id="range")):
            return is_fixed(iterable, scope, depth=depth)
    return False


def _is_pure_name(name: str, scope: Scope, depth: int) -> bool:
    """A builtin, a name from a module of the standard library, or a helper that returns a pinned expression."""
    if scope.is_builtin(name):
        return name in _PURE
    node = scope.single(name)
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and node.module in _PURE_MODULES
    return name not in scope.local and _is_helper(node, scope, depth)


def _is_helper(node: ast.AST | None, scope: Scope, depth: int) -> bool:
    """Whether a module's function does nothing but return an expression of its arguments."""
    outside = scope._replace(local={}, columns={})
    match node:
        case ast.FunctionDef(args=arguments, body=[*before, ast.Return(value=ast.expr() as result)], decorator_list=[]):
            documented = all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in before)
            names = [argument.arg for argument in arguments.args]
            return documented and _plain_arguments(arguments) and is_pinned(result, outside, names, depth=depth)
        case ast.Assign(value=ast.Lambda() as value):
            return is_pinned(value, outside, depth=depth)
    return False


def _is_pure_callee(func: ast.expr, scope: Scope, free: Collection[str], depth: int) -> bool:
    match func:
        case ast.Name(id=name):
            return name not in free and _is_pure_name(name, scope, depth)
        case ast.Attribute(value=ast.Name(id=name)) if _module_of(name, scope):
            return True
        case ast.Attribute(value=value):
            return is_pinned(value, scope, free, depth=depth)
    return False


def _module_of(name: str, scope: Scope) -> str:
    """The whitelisted module that a name stands for, or nothing."""
    match scope.single(name):
        case ast.Import(names=aliases):
            modules = [alias.name for alias in aliases if (alias.asname or alias.name) == name]
            return modules[0] if modules and modules[0] in _PURE_MODULES else ""
    return ""


def _plain_arguments(arguments: ast.arguments) -> bool:
    """Positional arguments alone, without defaults."""
    odd = (arguments.posonlyargs, arguments.kwonlyargs, arguments.vararg, arguments.kwarg, arguments.defaults)
    return not any(odd)
