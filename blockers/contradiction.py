"""Hidden tests made to contradict their statement: one literal that a test expects becomes a wrong one.

For impossible twins (``env_builder/twin.py``). The wrong value has the type of the right one and is drawn at random
from a wide range, so that neither the statement nor a mistake in following it leads there: who meets it knows the test.
"""

import ast
from collections.abc import Collection, Iterable, Iterator
from random import Random
from typing import NamedTuple

from blockers.oracle.bindings import FUNCTIONS, bindings_of, loaded_names
from blockers.oracle.claims import claim_of, conjuncts
from tasks.syntax import parse_python

_CONTAINERS = frozenset({"dict", "frozenset", "list", "set", "sorted", "tuple"})


class Contradiction(NamedTuple):
    """One way to contradict one test."""

    test: str
    """Id of the test, less the file."""
    place: tuple[int, int]
    """Line and column of the assertion, before and after."""
    content: bytes
    """The file with the wrong value."""
    right: str
    """The literal as it was, as Python writes it, and what it became."""
    wrong: str


def contradictions(content: bytes, tests: Collection[str], stated: str, rng: Random) -> list[Contradiction]:
    """The ways to contradict some of a file's tests, one for each assertion that expects a literal; in random order,
    those that stand in no other statement first.

    Args:
        content: of the hidden test file.
        tests: ids of the tests less the file; parametrised ones are passed over.
        stated: all that the agent is told: no wrong value stands in it.
        rng: chooses values and order.
    """
    try:
        module = parse_python(content)
    except (SyntaxError, ValueError):
        return []
    found: list[tuple[bool, Contradiction]] = []
    for test in sorted(tests):
        function = _function(module, test)
        if function is None or function.decorator_list:
            continue
        for nested, statement in _statements(function):
            literals = list(_literals(statement, function))
            if literals:
                constant = rng.choice(literals)
                wrong = _wrong(constant.value, stated, rng)
                place = (statement.lineno, statement.col_offset)
                changed = Contradiction(test, place, _spliced(content, constant, wrong), repr(constant.value), wrong)
                found.append((nested, changed))
    rng.shuffle(found)
    return [changed for _, changed in sorted(found, key=lambda pair: pair[0])]


def _function(module: ast.Module, test: str) -> ast.FunctionDef | None:
    """The one function of a test's id."""
    body: list[ast.stmt] = module.body
    *owners, name = test.split("::")
    for owner in owners:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == owner]
        if len(classes) != 1:
            return None
        body = classes[0].body
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    return functions[0] if len(functions) == 1 else None


def _statements(function: ast.FunctionDef) -> Iterator[tuple[bool, ast.stmt]]:
    """The statements of a test and whether they stand in another one, conditions taken apart."""
    pending: list[tuple[bool, ast.stmt]] = [(False, statement) for statement in function.body]
    while pending:
        nested, statement = pending.pop(0)
        yield from ((nested, part) for part in conjuncts(statement))
        if isinstance(statement, ast.For | ast.With | ast.If):
            pending += [(True, inner) for inner in statement.body]


def _literals(statement: ast.stmt, function: ast.FunctionDef) -> Iterator[ast.Constant]:
    """The constants in the expected side of an assertion ``X == LITERAL`` or one of its kin."""
    claim = claim_of(statement)
    if claim is None or claim.kind != "eq":
        return
    sides = [_resolved(side, function) for side in (claim.left, claim.right)]
    written = [side for side in sides if _is_literal(side)]
    if len(written) == 1:
        yield from (node for node in _constants(written[0]) if type(node.value) in (int, float, str, bytes))


def _resolved(side: ast.expr, function: ast.FunctionDef) -> ast.expr:
    """What a name stands for that is bound once in the test and read once."""
    if not isinstance(side, ast.Name):
        return side
    reads = [name for name in loaded_names(function) if name.id == side.id]
    match bindings_of(function.body, inner=True).get(side.id):
        case [ast.Assign(value=value)] if len(reads) == 1:
            return value
    return side


def _is_literal(side: ast.expr) -> bool:
    """Whether an expression is a literal, or a container made of literals by name."""
    match side:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CONTAINERS:
            return all(map(_is_literal, [*args, *(keyword.value for keyword in keywords)]))
    try:
        ast.literal_eval(side)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _constants(side: ast.expr) -> Iterable[ast.Constant]:
    assert not isinstance(side, FUNCTIONS)
    return [node for node in ast.walk(side) if isinstance(node, ast.Constant)]


def _wrong(value: object, stated: str, rng: Random) -> str:
    """Source of another value of the same type that is not told anywhere."""
    while True:
        extra = rng.randint(1009, 99991)
        match value:
            case int():
                shown = str(abs(value) + extra)
            case float():
                shown = repr(extra + 0.5)
            case str():
                shown = repr(f"{value}{extra:x}")
            case bytes():
                shown = repr(value + f"{extra:x}".encode())
            case _:
                raise AssertionError(f"no wrong value is known for {value!r}")
        if shown.strip("b'\"") not in stated:
            return shown


def _spliced(content: bytes, constant: ast.Constant, wrong: str) -> bytes:
    """The source with one constant replaced; positions of Python's trees count bytes."""
    lines = content.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    assert constant.end_lineno is not None
    assert constant.end_col_offset is not None
    begin = starts[constant.lineno - 1] + constant.col_offset
    end = starts[constant.end_lineno - 1] + constant.end_col_offset
    return content[:begin] + wrong.encode() + content[end:]
