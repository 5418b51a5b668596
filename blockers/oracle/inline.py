"""Helpers of a test module that assert something, written out where tests call them.

``check(f(1), [2])`` with ``def check(got, expected): assert got == expected`` becomes ``got_0 = f(1)``,
``expected_0 = [2]``, ``assert got_0 == expected_0``: then the expected value can be seen and dropped. The same is done
for a test that another test calls. Only calls that stand as statements are written out, of functions that are defined
once, take plain arguments, and neither return something early nor change names of the module.
"""

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping

from blockers.oracle.bindings import FUNCTIONS, Bindings, bindings_of, loaded_names
from blockers.oracle.claims import asserted

MARK = "_7f__"
"""Part of every name that programs add."""

FIRST_LINE = 1_000_000
"""Statements that are written out get lines from here on: each its own place."""

_MOST_STATEMENTS = 3000
_MOST_DEPTH = 3


def inlined(module: ast.Module) -> ast.Module:
    """The module with its helpers written out where tests call them."""
    bound = bindings_of(module.body, inner=False)
    return _Inliner(bound, _methods(module)).module(module)


class _Inliner:
    def __init__(self, bound: Bindings, methods: Mapping[str, ast.FunctionDef]) -> None:
        self._methods = methods
        self._functions = {
            name: nodes[0] for name, nodes in bound.items() if len(nodes) == 1 and isinstance(nodes[0], ast.FunctionDef)
        }
        self._known = {name: copy.deepcopy(one) for name, one in self._functions.items() if _is_helper(one)}
        self._known_methods = {name: copy.deepcopy(one) for name, one in methods.items() if _is_helper(one)}
        self._lines = itertools.count(FIRST_LINE)
        self._copies = itertools.count()

    def module(self, module: ast.Module) -> ast.Module:
        for function in [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]:
            if function.name.startswith("test"):
                taken = set(bindings_of(function.body, inner=True)) | {one.arg for one in function.args.args}
                function.body = list(self._body(function.body, taken, (function.name,)))
        return module

    def _body(self, body: list[ast.stmt], taken: set[str], path: tuple[str, ...]) -> Iterator[ast.stmt]:
        for statement in body:
            if isinstance(statement, ast.For | ast.With):
                statement.body = list(self._body(statement.body, taken, path))
            call = _call(statement, last=statement is body[-1])
            written = self._written_out(call, taken, path) if call else None
            yield from [statement] if written is None else written

    def _written_out(self, call: ast.Call, taken: set[str], path: tuple[str, ...]) -> list[ast.stmt] | None:
        helper, first = self._helper(call.func)
        if helper is None or helper.name in path or len(path) > _MOST_DEPTH:
            return None
        given = _arguments(helper, call, first)
        names = {*bindings_of(helper.body, inner=False), *(given or {})}
        outside = {name.id for name in loaded_names(helper)} - names - set(first)
        if given is None or outside & taken or not _can_be_renamed(helper, names):
            return None
        if next(copy.copy(self._lines)) > FIRST_LINE + _MOST_STATEMENTS:
            return None
        number = next(self._copies)
        new = {name: f"{name}_{number}{MARK}" for name in names}
        body = [_Renamed(new).visit(copy.deepcopy(statement)) for statement in _without_return(helper.body)]
        assigns: list[ast.stmt] = [
            ast.Assign([ast.Name(new[name], ast.Store())], copy.deepcopy(value)) for name, value in given.items()
        ]
        made = [*assigns, *self._body(body, {*taken, *new.values()}, (*path, helper.name))]
        for statement in made:
            for node in ast.walk(statement):
                if isinstance(node, ast.stmt) and getattr(node, "lineno", 0) < FIRST_LINE:
                    node.lineno, node.col_offset = next(self._lines), 0
        return made

    def _helper(self, func: ast.expr) -> tuple[ast.FunctionDef | None, tuple[str, ...]]:
        match func:
            case ast.Name(id=name):
                return self._known.get(name), ()
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self._known_methods.get(name), ("self",)
        return None, ()


def _methods(module: ast.Module) -> dict[str, ast.FunctionDef]:
    """The methods of the module's classes whose name only one class binds."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            for name, bound in bindings_of(node.body, inner=False).items():
                found.setdefault(name, []).extend(bound)
    return {
        name: one
        for name, nodes in found.items()
        if len(nodes) == 1
        for one in nodes
        if isinstance(one, ast.FunctionDef) and [argument.arg for argument in one.args.args[:1]] == ["self"]
    }


def _is_helper(function: ast.FunctionDef) -> bool:
    """Whether a function can be written out, and asserts something."""
    arguments = function.args
    odd = arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg
    if odd or function.decorator_list:
        return False
    nodes = list(ast.walk(function))
    bad = (ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.ClassDef)
    frames = {"locals", "vars", "super", "eval", "exec"}
    if any(isinstance(node, bad) or (isinstance(node, ast.Name) and node.id in frames) for node in nodes):
        return False
    if any(_returns(statement) for statement in _without_return(function.body)):
        return False
    return any(isinstance(node, ast.stmt) and asserted(node) is not None for node in nodes)


def _returns(node: ast.AST) -> bool:
    if isinstance(node, FUNCTIONS):
        return False
    return isinstance(node, ast.Return) or any(_returns(inner) for inner in ast.iter_child_nodes(node))


def _without_return(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body less its docstring and a ``return`` of nothing at its end."""
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    ends = isinstance(body[-1], ast.Return) and body[-1].value is None
    return body[1 if documented else 0 : -1 if ends else None] or [ast.Pass()]


def _call(statement: ast.stmt, *, last: bool) -> ast.Call | None:
    """The call that a statement is; one that is returned as well, where nothing comes after it."""
    match statement:
        case ast.Expr(value=ast.Call() as call):
            return call
        case ast.Return(value=ast.Call() as call) if last:
            return call
    return None


def _arguments(helper: ast.FunctionDef, call: ast.Call, first: tuple[str, ...]) -> dict[str, ast.expr] | None:
    """What each parameter gets; None where that is not plain to see."""
    names = [argument.arg for argument in helper.args.args][len(first) :]
    if len(call.args) > len(names) or any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    defaults = helper.args.defaults
    given: dict[str, ast.expr] = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in names or keyword.arg in given:
            return None
        given[keyword.arg] = keyword.value
    if defaults:
        for name, value in zip(names[-len(defaults) :], defaults, strict=True):
            given.setdefault(name, value)
    return given if len(given) == len(names) else None


def _can_be_renamed(helper: ast.FunctionDef, names: set[str]) -> bool:
    """Whether no function within binds one of the names anew."""
    for node in ast.walk(helper):
        if isinstance(node, FUNCTIONS) and node is not helper:
            if names & {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}:
                return False
            body = node.body if isinstance(node.body, list) else []
            if names & set(bindings_of(body, inner=True)):
                return False
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            return False
    return True


class _Renamed(ast.NodeTransformer):
    def __init__(self, new: Mapping[str, str]) -> None:
        self._new = new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._new.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self._new.get(node.name, node.name)
        self.generic_visit(node)
        return node
