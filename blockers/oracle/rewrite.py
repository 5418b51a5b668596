"""A test module turned into a program that reports: slots in place of assertions, and nothing that it does not need."""

import ast
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from blockers.oracle.bindings import loaded_names
from blockers.oracle.fixed import rows_of
from blockers.oracle.slots import Found, Place, place_of

SLOT, RAISES, FIXTURE = "__slot_7f__", "__raises_7f__", "__fixture_7f__"


class Cut(NamedTuple):
    """What is done to one function."""

    slots: Mapping[Place, Found]
    names: frozenset[str]
    """Names to remove with all that binds them; empty while expected values are recorded."""


class Reporting(ast.NodeTransformer):
    """Puts the slots into one function.

    Args:
        numbers: of the slots.
        recording: report the expected value beside the value.
    """

    def __init__(self, cut: Cut, numbers: Mapping[Place, int], *, recording: bool) -> None:
        self._cut = cut
        self._numbers = numbers
        self._recording = recording

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        """An assertion that is a slot becomes a report."""
        return self._report(node)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """A call of ``self.assertEqual`` may be a slot."""
        return self._report(node)

    def visit_With(self, node: ast.With) -> ast.stmt:
        """A block that must raise reports what it raised."""
        place = place_of(node)
        if place in self._cut.slots:
            call = ast.Call(ast.Name(RAISES, ast.Load()), [ast.Constant(self._numbers[place])], [])
            node.items = [ast.withitem(call)]
        return self._visited(node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        """A name that only expected sides use goes."""
        match node.targets:
            case [ast.Name(id=name)] if name in self._cut.names:
                return ast.Pass()
        return node

    def visit_For(self, node: ast.For) -> ast.stmt:
        """A column of a loop's table that only expected sides use goes."""
        rows = rows_of(node.target, node.iter) if isinstance(node.target, ast.Tuple) else None
        if rows and self._cut.names & set(rows):
            assert isinstance(node.iter, ast.List | ast.Tuple)
            kept = [name for name in rows if name not in self._cut.names]
            node.target = ast.Tuple([ast.Name(name, ast.Store()) for name in kept], ast.Store())
            table = zip(*(rows[name] for name in kept), strict=True) if kept else [()] * len(node.iter.elts)
            node.iter.elts = [ast.Tuple(list(row), ast.Load()) for row in table]
        return self._visited(node)

    def _visited(self, node: ast.stmt) -> ast.stmt:
        self.generic_visit(node)
        return node

    def _report(self, node: ast.stmt) -> ast.stmt:
        found = self._cut.slots.get(place_of(node))
        if found is None or found.value is None or found.expected is None:
            return node
        values = [found.value]
        if self._recording:
            values += [found.expected, *([found.written] if found.written else [])]
        number = ast.Constant(self._numbers[place_of(node)])
        return ast.Expr(ast.Call(ast.Name(SLOT, ast.Load()), [number, *values], []))


def without_parameters(function: ast.FunctionDef, names: Collection[str]) -> None:
    """Take parameters out of a function's signature; none of them has a default."""
    first_default = len(function.args.args) - len(function.args.defaults)
    kept = [argument for argument in function.args.args[:first_default] if argument.arg not in names]
    function.args.args = kept + function.args.args[first_default:]


def without_text(body: list[ast.stmt]) -> list[ast.stmt]:
    """A function's body less its docstring, which may tell what is expected."""
    return body[1:] if _is_docstring(body[0]) and len(body) > 1 else body


def sliced(body: list[ast.stmt], entries: list[ast.stmt], wanted: Collection[str]) -> list[ast.stmt]:
    """The statements of a module that its entries need, or that may do something: other tests and their data go.

    Args:
        wanted: names of the test functions and methods that are run.
    """
    attributes = {node.attr for statement in body for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            _strip_class(statement, {*wanted, *attributes})
    rest = [statement for statement in body if not _is_useless(statement)]
    kept = [statement for statement in rest if not _is_optional(statement)]
    needed = _needs([*kept, *entries])
    while True:
        more = [one for one in rest if one not in kept and needed & _names(one)]
        if not more:
            return [statement for statement in rest if statement in kept]
        kept += more
        needed |= _needs(more)


def _strip_class(node: ast.ClassDef, wanted: Collection[str]) -> None:
    def goes(one: ast.stmt) -> bool:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            return one.name.startswith("test") and one.name not in wanted
        return _is_docstring(one)

    node.body = [one for one in node.body if not goes(one)] or [ast.Pass()]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_useless(node: ast.stmt) -> bool:
    return _is_docstring(node) or (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))


def _is_optional(node: ast.stmt) -> bool:
    """Whether a statement does nothing but bind a name, or is about tests that are not run."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            is_test = node.name.lower().startswith("test")
            return is_test or all(ast.unparse(one).startswith("pytest.") for one in node.decorator_list)
        case ast.Assign(targets=targets, value=value) if all(isinstance(target, ast.Name) for target in targets):
            return not any(isinstance(inner, ast.Call | ast.NamedExpr) for inner in ast.walk(value))
    return False


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def _needs(statements: Iterable[ast.stmt]) -> set[str]:
    return {name.id for statement in statements for name in loaded_names(statement)}
