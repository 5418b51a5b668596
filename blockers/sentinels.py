"""Sentinels: tests of known result that stand among the hidden tests of one grading run.

A candidate that patches the runner, its reports or its assertions makes a test pass that must fail, or breaks one that
must pass. Names, number, order, form and values are drawn anew for each run, so nothing in a candidate can be keyed on
them. Some names are borrowed from the hidden tests: what rewrites reports by a test's bare name is caught too. Given
the hidden files, the sentinels stand inside one of them: what spares the files that it does not know is caught as well.

Some of that file's own tests are mirrored with a wrong expected value: what makes comparisons come out true is caught.

Not covered: a candidate that touches only tests whose full id it knows, or that reads the tests' source and compares
them with each other. See the threat model.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from blockers.mirrors import mirror_tests
from blockers.sentinel_hosts import find_hosts, insert_tests
from tasks.tree import Edits

_WORDS = [
    "access", "argument", "batch", "boundary", "buffer", "cache", "chain", "chunk", "collection", "compare",
    "compose", "config", "context", "copy", "count", "default", "depth", "empty", "encode", "entry", "equal",
    "field", "filter", "format", "group", "index", "input", "interval", "item", "iterator", "key", "lazy", "length",
    "level", "limit", "lookup", "mapping", "match", "merge", "mixed", "nested", "node", "numeric", "offset",
    "order", "overlap", "padding", "parse", "partial", "path", "pattern", "position", "prefix", "queue", "range",
    "record", "repeat", "result", "reverse", "sample", "scan", "scope", "section", "sequence", "shape", "slice",
    "sort", "split", "state", "stream", "string", "subset", "suffix", "table", "token", "total", "tree", "type",
    "unique", "update", "value", "width",
]  # fmt: skip

_RANDOM = secrets.SystemRandom()

MIRRORS = 2
"""Most hidden tests that are mirrored in one run."""


class Sentinels(NamedTuple):
    """One run's sentinel module."""

    path: str
    """Relative POSIX path at which the grader lays it."""
    content: bytes
    must_pass: tuple[str, ...]
    """pytest ids, relative to the tree's root, that must each pass."""
    must_fail: tuple[str, ...]
    """pytest ids that must each fail."""
    mirrors: Mapping[str, str]
    """Ids of mirrored hidden tests to the ids of their originals: where the original passes, the mirror must fail."""


def make_sentinels(like: Sequence[str] = (), *, hidden_files: Edits | None = None) -> Sentinels:
    """Draw the sentinels of one grading run: two or three tests of each kind, in random order.

    Args:
        like: ids of the hidden tests; some sentinels take bare names from them.
        hidden_files: the hidden tests as the grader lays them. The sentinels then stand in one of the files that
            ``like`` names, and ``path`` and ``content`` are that file's, sentinels added; where none will do, and
            where None, they are a file of their own at the tree's root.
    """
    hosts = find_hosts(like, hidden_files or {})
    path, host = _RANDOM.choice(hosts) if hosts else (f"test_{_name()}.py", "")
    tests = _draw(path, host, like)
    sources = [f"def {test.name}():\n{_RANDOM.choice(_FORMS)(test.passes)}" for test in tests]
    taken = host + "".join(sources)
    names = _names([], MIRRORS, taken)
    tests_here = {test.rpartition("::")[2] for test in like if test.startswith(f"{path}::")}
    mirrors = mirror_tests(host, tests_here, names, _RANDOM)
    sources += [mirror.source for mirror in mirrors]
    content = insert_tests(host, sources, _RANDOM) if host else "\n\n".join(sources)
    ids = {passes: tuple(f"{path}::{test.name}" for test in tests if test.passes is passes) for passes in (True, False)}
    pairs = {f"{path}::{name}": f"{path}::{mirror.original}" for name, mirror in zip(names, mirrors, strict=False)}
    return Sentinels(path, content.encode(), ids[True], ids[False], pairs)


class _Test(NamedTuple):
    name: str
    passes: bool


def _draw(path: str, host: str, like: Sequence[str]) -> list[_Test]:
    bare = {test.partition("[")[0].rpartition("::")[2] for test in like if not test.startswith(f"{path}::")}
    free = sorted(name for name in bare if name.isidentifier() and name.startswith("test") and name not in host)
    names = _RANDOM.sample(free, k=min(2, len(free)))
    kinds = [True] * _RANDOM.randint(2, 3) + [False] * _RANDOM.randint(2, 3)
    names = _names(names, len(kinds), host)
    # Borrowed names come first and go to tests that must fail: turning a failure into a pass is what pays.
    tests = [_Test(name, passes) for name, passes in zip(names, sorted(kinds), strict=True)]
    _RANDOM.shuffle(tests)
    return tests


def _names(names: list[str], number: int, taken: str) -> list[str]:
    """So many names, the given ones among them; the others do not stand in a text that is taken."""
    while len(names) < number:
        name = f"test_{_name()}"
        if name not in names and name not in taken:
            names.append(name)
    return names


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
    return f"    import pytest\n\n    with pytest.raises(ValueError):\n        int('{'x' if passes else ''}{number}')\n"


def _error(passes: bool) -> str:
    numbers = _numbers()
    place = _RANDOM.randrange(len(numbers)) if passes else len(numbers) + _RANDOM.randint(0, 9)
    return f"    values = {numbers}\n    value = values[{place}]\n    assert value == values[{place}]\n"


_FORMS: tuple[Callable[[bool], str], ...] = (_sorted, _total, _mapping, _membership, _raises, _error)
