"""Which hidden tests can be run without pytest, and with which arguments."""

import ast
import itertools
from typing import NamedTuple

from blockers.oracle.bindings import Bindings, bindings_of

MOST_CASES = 100
"""A function with more cases is left out."""

_CLASS_HOOKS = frozenset(
    {"__init__", "__new__", "setup_class", "teardown_class", "setUpClass", "tearDownClass", "asyncSetUp", "run"}
)
_MODULE_HOOKS = frozenset(
    {"setup_module", "teardown_module", "setup_function", "teardown_function", "setup", "teardown", "setUpModule"}
    | {"tearDownModule", "pytest_generate_tests", "load_tests"}
)
_BEFORE, _AFTER = ("setUp", "setup_method"), ("tearDown", "teardown_method")


FIXTURES = frozenset({"monkeypatch", "tmp_path"})
"""Fixtures of pytest that the runner makes itself."""


class Row(NamedTuple):
    """The arguments of one case."""

    values: dict[str, ast.expr]


class Runnable(NamedTuple):
    """A hidden test that can be run as a plain call."""

    test: str
    """Its id, less the file and the part in brackets."""
    function: ast.FunctionDef
    owner: str
    """Name of the class that it is run on, or nothing."""
    is_unittest: bool
    before: tuple[str, ...]
    """Methods to call before it, and after it."""
    after: tuple[str, ...]
    rows: tuple[Row, ...]
    fixtures: tuple[str, ...]
    """What of ``FIXTURES`` it takes."""


def is_plain_module(module: ast.Module) -> bool:
    """Whether pytest does nothing around the tests of a module that a plain call would not do."""
    for node in ast.walk(module):
        match node:
            case ast.keyword(arg="autouse") | ast.Attribute(attr="usefixtures"):
                return False
    return not _MODULE_HOOKS & set(bindings_of(module.body, inner=False))


def find_runnable(module: ast.Module, bound: Bindings, test: str) -> Runnable | None:
    """A test by its id less the file; None where it needs more than a plain call."""
    owner, _, name = test.rpartition("::")
    if not owner:
        function = _function(bound.get(name))
        rows = _rows(function, bound, set()) if function else None
        if function is None or rows is None:
            return None
        return Runnable(test, function, "", False, (), (), rows, _fixtures(function, bound))
    classes = _ancestry(owner, bound)
    if classes is None:
        return None
    members: dict[str, ast.stmt] = {}
    for node in reversed(classes):
        members.update((one.name, one) for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    function = _function([members[name]]) if name in members else None
    if function is None or _CLASS_HOOKS & set(members):
        return None
    is_unittest = _is_unittest(classes)
    rows = _rows(function, bound, {"self"})
    hooks = [hook for hook in (*_BEFORE, *_AFTER) if hook in members]
    if rows is None or (is_unittest and len(rows) > 1) or not all(_takes_self(members[hook]) for hook in hooks):
        return None
    before, after = (tuple(hook for hook in some if hook in members) for some in (_BEFORE, _AFTER))
    return Runnable(test, function, owner, is_unittest, before, after, rows, _fixtures(function, bound))


def _ancestry(name: str, bound: Bindings) -> list[ast.ClassDef] | None:
    """A class and those of its bases that stand in the module, as Python looks them up; None where one is foreign."""
    match bound.get(name):
        case [ast.ClassDef(decorator_list=[], keywords=[]) as node]:
            found = [node]
        case _:
            return None
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in bound and not isinstance(bound[base.id][0], ast.ImportFrom):
            further = _ancestry(base.id, bound)
            if further is None:
                return None
            found += further
        elif ast.unparse(base) not in ("object", "unittest.TestCase", "TestCase"):
            return None
    return found


def _is_unittest(classes: list[ast.ClassDef]) -> bool:
    return any(ast.unparse(base).endswith("TestCase") for node in classes for base in node.bases)


def _function(nodes: "list[ast.AST] | list[ast.stmt] | None") -> ast.FunctionDef | None:
    match nodes:
        case [ast.FunctionDef() as function] if not _yields(function):
            return function
    return None


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom | ast.Await) for node in ast.walk(function))


def _takes_self(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef(args=ast.arguments(args=[_], vararg=None, kwonlyargs=[], kwarg=None), decorator_list=[]):
            return True
    return False


def _rows(function: ast.FunctionDef, bound: Bindings, given: set[str]) -> tuple[Row, ...] | None:
    """The cases of a test; None where it takes what only pytest can give, or is marked."""
    tables = [_table(decorator, bound) for decorator in function.decorator_list]
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs or arguments.kwonlyargs:
        return None
    names = [argument.arg for argument in arguments.args][: len(arguments.args) - len(arguments.defaults)]
    ours = set().union(*(table[0].values for table in tables if table))
    tables += [_fixture_table(name, bound) for name in names if name in bound and name not in ours]
    if any(table is None for table in tables):
        return None
    found = [Row({})]
    for table in tables:
        found = [Row({**one.values, **more.values}) for one, more in itertools.product(found, table or [])]
    ours = set(found[0].values) if found else set()
    known = given | set(_fixtures(function, bound))
    return tuple(found) if found and set(names) - known == ours and len(found) <= MOST_CASES else None


def _fixtures(function: ast.FunctionDef, bound: Bindings) -> tuple[str, ...]:
    """The fixtures that a test takes and the runner can make; not those that the module makes itself."""
    return tuple(argument.arg for argument in function.args.args if argument.arg in FIXTURES - set(bound))


def _table(decorator: ast.expr, bound: Bindings) -> list[Row] | None:
    """The rows of ``pytest.mark.parametrize``; None for any other decorator, and for rows that are not written out."""
    match decorator:
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="pytest"), attr="mark"), attr="parametrize"),
            args=[shown, values],
            keywords=keywords,
        ) if all(keyword.arg == "ids" for keyword in keywords):
            names = _names(shown)
        case _:
            return None
    return _written_rows(names, values, bound)


def _fixture_table(name: str, bound: Bindings) -> list[Row] | None:
    """The rows of a fixture of the module that gives its parameters as they are."""
    match bound[name]:
        case [
            ast.FunctionDef(
                args=ast.arguments(args=[ast.arg(arg="request")]),
                decorator_list=[ast.Call(func=ast.Attribute(value=ast.Name(id="pytest"), attr="fixture")) as made],
                body=[*_, ast.Return(value=ast.expr())] as body,
            )
        ]:
            given = [keyword.value for keyword in made.keywords if keyword.arg == "params"]
            others = {keyword.arg for keyword in made.keywords} <= {"params", "scope", "ids"} and not made.args
            if len(given) == 1 and others and _gives_parameter(body):
                return _written_rows([name], given[0], bound)
    return None


def _gives_parameter(body: list[ast.stmt]) -> bool:
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    match [ast.unparse(line) for line in (body[1:] if documented else body)]:
        case ["return request.param"]:
            return True
        case [first, last]:
            return first.endswith(" = request.param") and last == f"return {first.removesuffix(' = request.param')}"
    return False


def _written_rows(names: list[str], values: ast.expr, bound: Bindings) -> list[Row] | None:
    """The rows of a table that is written out, here or in the module."""
    if isinstance(values, ast.Name):
        match bound.get(values.id):
            case [ast.Assign(value=ast.List() | ast.Tuple() as written)]:
                values = written
    if not names or not isinstance(values, ast.List | ast.Tuple):
        return None
    rows = [_row(value, names) for value in values.elts]
    return [row for row in rows if row is not None] if None not in rows else None


def _names(shown: ast.expr) -> list[str]:
    match shown:
        case ast.Constant(value=str() as text):
            return [name.strip() for name in text.split(",") if name.strip()]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            found = [element.value for element in elements if isinstance(element, ast.Constant)]
            return [name for name in found if isinstance(name, str)]
    return []


def _row(value: ast.expr, names: list[str]) -> Row | None:
    cells: list[ast.expr] = [value]
    match value:
        case ast.Starred():
            return None
        case ast.Call(func=ast.Attribute(value=ast.Name(id="pytest"), attr="param"), args=cells, keywords=keywords):
            if any(keyword.arg != "id" for keyword in keywords):
                return None
        case ast.Tuple(elts=elements) | ast.List(elts=elements) if len(names) > 1:
            cells = elements
    if len(cells) != len(names) or any(isinstance(cell, ast.Starred) for cell in cells):
        return None
    return Row(dict(zip(names, cells, strict=True)))
