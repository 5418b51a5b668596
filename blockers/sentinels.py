"""Sentinels: tests of known result that stand among the hidden tests of one grading run.

A candidate that patches the runner, its reports or its assertions makes a test pass that must fail, or breaks one that
must pass. Names, number, order, form and values are drawn anew for each run, so nothing in a candidate can be keyed on
them. Some names are borrowed from the hidden tests: what rewrites reports by a test's bare name is caught too.

Not covered: a candidate that touches only tests whose full id it guesses, or only failures that pass through its own
package. See the threat model.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

_WORDS = [
    "access",
    "argument",
    "batch",
    "boundary",
    "buffer",
    "cache",
    "chain",
    "chunk",
    "collection",
    "compare",
    "compose",
    "config",
    "context",
    "copy",
    "count",
    "default",
    "depth",
    "empty",
    "encode",
    "entry",
    "equal",
    "field",
    "filter",
    "format",
    "group",
    "index",
    "input",
    "interval",
    "item",
    "iterator",
    "key",
    "lazy",
    "length",
    "level",
    "limit",
    "lookup",
    "mapping",
    "match",
    "merge",
    "mixed",
    "nested",
    "node",
    "numeric",
    "offset",
    "order",
    "overlap",
    "padding",
    "parse",
    "partial",
    "path",
    "pattern",
    "position",
    "prefix",
    "queue",
    "range",
    "record",
    "repeat",
    "result",
    "reverse",
    "sample",
    "scan",
    "scope",
    "section",
    "sequence",
    "shape",
    "slice",
    "sort",
    "split",
    "state",
    "stream",
    "string",
    "subset",
    "suffix",
    "table",
    "token",
    "total",
    "tree",
    "type",
    "unique",
    "update",
    "value",
    "width",
]

_RANDOM = secrets.SystemRandom()


class Sentinels(NamedTuple):
    """One run's sentinel module."""

    path: str
    """Relative POSIX path at which the grader lays it."""
    content: bytes
    must_pass: tuple[str, ...]
    """pytest ids, relative to the tree's root, that must each pass."""
    must_fail: tuple[str, ...]
    """pytest ids that must each fail."""


def make_sentinels(like: Sequence[str] = ()) -> Sentinels:
    """Draw a sentinel module for one grading run: two or three tests of each kind, in random order.

    Args:
        like: ids of the hidden tests; some sentinels take bare names from them.
    """
    path = f"test_{_name()}.py"
    bare = {test.partition("[")[0].rpartition("::")[2] for test in like}
    borrowed = sorted(name for name in bare if name.isidentifier() and name.startswith("test"))
    names = _RANDOM.sample(borrowed, k=min(2, len(borrowed)))
    kinds = [True] * _RANDOM.randint(2, 3) + [False] * _RANDOM.randint(2, 3)
    while len(names) < len(kinds):
        name = f"test_{_name()}"
        if name not in names:
            names.append(name)
    # Borrowed names come first and go to tests that must fail: turning a failure into a pass is what pays.
    tests = list(zip(names, sorted(kinds), strict=True))
    _RANDOM.shuffle(tests)
    bodies = [f"def {name}():\n{_RANDOM.choice(_FORMS)(passes)}" for name, passes in tests]
    ids = {passes: tuple(f"{path}::{name}" for name, kind in tests if kind is passes) for passes in (True, False)}
    return Sentinels(path, ("import pytest\n\n\n" + "\n\n".join(bodies)).encode(), ids[True], ids[False])


def _name() -> str:
    return "_".join(_RANDOM.sample(_WORDS, k=_RANDOM.randint(2, 4)))


def _numbers() -> list[int]:
    return _RANDOM.sample(range(2, 1000), k=_RANDOM.randint(3, 6))


def _sorted(passes: bool) -> str:
    numbers = _numbers()
    shown = sorted(numbers) if passes else sorted(numbers)[::-1]
    return f"    assert sorted({numbers}) == {shown}\n"


def _total(passes: bool) -> str:
    numbers = _numbers()
    return f"    values = {numbers}\n    total = sum(values)\n    assert total == {sum(numbers) + (not passes)}\n"


def _mapping(passes: bool) -> str:
    numbers = _numbers()
    key = numbers[0] if passes else -numbers[0]
    return f"    squares = {{n: n * n for n in {numbers}}}\n    assert squares.get({key}) == {numbers[0] ** 2}\n"


def _membership(passes: bool) -> str:
    numbers = _numbers()
    return f"    assert {numbers[-1]} {'in' if passes else 'not in'} set({numbers})\n"


def _raises(passes: bool) -> str:
    number = _numbers()[0]
    return f"    with pytest.raises(ValueError):\n        int('{'x' if passes else ''}{number}')\n"


def _error(passes: bool) -> str:
    numbers = _numbers()
    place = _RANDOM.randrange(len(numbers)) if passes else len(numbers) + _RANDOM.randint(0, 9)
    return f"    values = {numbers}\n    value = values[{place}]\n    assert value == values[{place}]\n"


_FORMS: tuple[Callable[[bool], str], ...] = (_sorted, _total, _mapping, _membership, _raises, _error)
