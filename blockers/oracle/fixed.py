"""Which expressions of a test have a value that no code under test can change.

An expression is *pinned* if it is made of literals, of whitelisted builtins and modules of the standard library, and of
names that are bound once to such a thing. It is *fixed* if its value is immutable besides, so that it stays what it is
where the code under test gets hold of it. What is not recognised is neither: then nothing is taken apart.
"""

import ast
import builtins
import copy
from collections.abc import Collection
from typing import NamedTuple

from blockers.oracle.bindings import COMPREHENSIONS, Bindings
from blockers.oracle.claims import is_exception
from blockers.oracle.own import class_callables, free_names, shadowed

_MAKES_FIXED = frozenset({"bool", "bytes", "chr", "complex", "float", "int", "len", "ord", "range", "repr", "str"})

_PURE = _MAKES_FIXED | frozenset(
    {"abs", "all", "any", "dict", "divmod", "enumerate", "filter", "frozenset", "list", "map", "max", "min", "pow"}
    | {"reversed", "round", "set", "slice", "sorted", "sum", "tuple", "zip"}
)
"""Builtins whose result follows from their arguments."""

_PURE_MODULES = frozenset(
    {
        "abc",
        "cmath",
        "collections",
        "collections.abc",
        "decimal",
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


_DEFINES = frozenset(
    {"callable", "classmethod", "getattr", "hasattr", "hash", "isinstance", "issubclass", "iter", "next", "object"}
    | {"property", "staticmethod", "super", "type", "NotImplemented"}
)
"""Builtins besides that a definition of the test module may use and stay its own."""

_MOST_DEPTH = 40
"""Names and expressions in each other."""

MOST_NAMES = 4
"""Names that stand for names, one after the other, that are followed."""


class Scope(NamedTuple):
    """Where an expression stands."""

    module: Bindings
    """What binds the names of the module."""
    local: Bindings
    """What binds the names of the function; of functions in it too."""
    columns: dict[str, bool]
    """Parameters that get their values from ``parametrize``, and whether all of these are fixed."""
    attributes: frozenset[str] = frozenset()
    """What the module's classes define by themselves, to be called as ``self.NAME``."""

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
    if depth > _MOST_DEPTH:
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


def as_written(node: ast.expr, scope: Scope, *, depth: int = 0) -> ast.expr:
    """An expression with the names that the function binds once, by an assignment, replaced by what was assigned."""
    return _Written(scope, depth).visit(copy.deepcopy(node)) if depth < MOST_NAMES else node


class _Written(ast.NodeTransformer):
    def __init__(self, scope: Scope, depth: int) -> None:
        self._scope = scope
        self._depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        match self._scope.local.get(node.id):
            case [ast.Assign(value=value)]:
                return as_written(value, self._scope, depth=self._depth + 1)
        return node


def is_fixed(node: ast.expr, scope: Scope, *, depth: int = 0) -> bool:
    """Whether an expression is pinned and its value immutable."""
    if depth > _MOST_DEPTH:
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
    match node:
        case ast.ImportFrom():
            return node.level == 0 and node.module in _PURE_MODULES
        case ast.Assign(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute)) if name in scope.local:
            return attribute in scope.attributes
    return name not in scope.local and _is_own(node, scope, depth)


def _is_own(node: ast.AST | None, scope: Scope, depth: int) -> bool:
    """Whether a function or class of the module reaches nothing that is not the module's own, or pure."""
    outside = Scope(scope.module, {}, {})
    match node:
        case ast.FunctionDef() | ast.ClassDef() if depth < _MOST_DEPTH:
            names = free_names(node)
            return (
                names is not None
                and not shadowed(node, scope.module)
                and all(_is_harmless(name, node, outside, depth + 1) for name in names)
            )
        case ast.Assign(value=ast.Lambda() as value):
            return is_pinned(value, outside, depth=depth)
    return False


def _is_harmless(name: str, within: ast.FunctionDef | ast.ClassDef, scope: Scope, depth: int) -> bool:
    if name == within.name or (scope.is_builtin(name) and (name in _DEFINES or is_exception(name))):
        return True
    node = ast.Name(name, ast.Load())
    return bool(_module_of(name, scope)) or is_fixed(node, scope, depth=depth) or _is_pure_name(name, scope, depth)


def own_attributes(module: ast.Module, scope: Scope) -> frozenset[str]:
    """Names that the classes of a module bind, each time to something to call that is the module's own, or pure."""

    def is_own(bound: ast.AST) -> bool:
        match bound:
            case ast.Name(id=name):
                return _is_pure_name(name, scope, 0)
            case ast.Lambda():
                return is_pinned(bound, scope)
        return _is_own(bound, scope, 0)

    return frozenset(name for name, bound in class_callables(module).items() if all(map(is_own, bound)))


def _is_pure_callee(func: ast.expr, scope: Scope, free: Collection[str], depth: int) -> bool:
    match func:
        case ast.Name(id=name):
            return name not in free and _is_pure_name(name, scope, depth)
        case ast.Attribute(value=ast.Name(id=name)) if _module_of(name, scope):
            return True
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute) if attribute in scope.attributes:
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
