"""Mirrors: copies of hidden tests with one expected value made wrong, under another name.

Where the original passes, its mirror must fail. A candidate that makes comparisons come out true, or that forges
results for whatever is about the project, passes the mirror too and is seen by that. A candidate that is merely wrong
fails the original, and then its mirror says nothing.
"""

import ast
from collections.abc import Collection, Iterator
from functools import lru_cache
from random import Random
from typing import NamedTuple

from blockers.sentinel_hosts import FILES_KEPT
from tasks.syntax import parse_python


class Mirror(NamedTuple):
    """One mirrored test."""

    original: str
    """Name of the test function in its module."""
    source: str
    """The mirrored function, named as asked."""


def mirror_tests(module: str, tests: Collection[str], names: Collection[str], rng: Random) -> list[Mirror]:
    """Mirror some of a module's tests.

    Args:
        module: source of the hidden test file.
        tests: names of the functions that may be mirrored.
        names: names for the mirrors; as many are made, or fewer where the module does not give as many.
        rng: chooses tests, assertions and wrong values.
    """
    fit = [one for one in _originals(module) if one.name in tests]
    rng.shuffle(fit)
    return [
        Mirror(original.name, _mirrored(original.source, rng.choice(original.places), name, rng))
        for original, name in zip(fit, names, strict=False)
    ]


class _Original(NamedTuple):
    """A test function that can be mirrored."""

    name: str
    source: str
    places: tuple[int, ...]
    """Numbers of the statements whose expected value can be made wrong."""


@lru_cache(FILES_KEPT)
def _originals(module: str) -> tuple[_Original, ...]:
    """The functions of a module that can be mirrored; what is drawn at random is drawn later."""
    functions = [node for node in parse_python(module).body if isinstance(node, ast.FunctionDef)]
    found = ((function, tuple(_places(function))) for function in functions)
    return tuple(_Original(one.name, ast.unparse(one), places) for one, places in found if places)


def _places(function: ast.FunctionDef) -> Iterator[int]:
    """Numbers of the statements ``assert X == LITERAL`` that every passing run of the function reaches."""
    arguments = function.args
    takes = arguments.args or arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg
    leaves = any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in ast.walk(function))
    if takes or function.decorator_list or leaves:
        return
    for number, statement in enumerate(function.body):
        match statement:
            case ast.Assert(test=ast.Compare(ops=[ast.Eq()], comparators=[literal])) if _value(literal) is not None:
                yield number


def _value(literal: ast.expr) -> int | str | list[object] | tuple[object, ...] | dict[object, object] | None:
    """The value of a literal that can be made wrong."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, int | str | list | tuple | dict) and not isinstance(value, bool) else None


def _mirrored(source: str, place: int, name: str, rng: Random) -> str:
    mirrored = parse_python(source).body[0]
    assert isinstance(mirrored, ast.FunctionDef)
    mirrored.name = name
    statement = mirrored.body[place]
    assert isinstance(statement, ast.Assert)
    assert isinstance(statement.test, ast.Compare)
    literal = statement.test.comparators[0]
    statement.test.comparators[0] = parse_python(repr(_wrong(_value(literal), rng)), mode="eval").body
    return ast.unparse(mirrored) + "\n"


def _wrong(value: object, rng: Random) -> object:
    """A value of the same type that is unequal, and looks no less likely."""
    extra = rng.randint(2, 99)
    match value:
        case int():
            return value + extra
        case str():
            return value + str(extra)
        case list():
            return [*value, value[-1] if value else extra]
        case tuple():
            return (*value, value[-1] if value else extra)
        case dict():
            return {**value, rng.randint(1000, 9999): extra}
    raise AssertionError(f"no wrong value is known for {value!r}")
