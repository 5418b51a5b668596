"""Plants bugs in given functions: one edit a bug, spread over modifiers and functions, and no two of one meaning."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from env_builder.strategies.meaning import Meaning, meaning
from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.modifiers import Modifier

Covered = Mapping[str, AbstractSet[int]]
"""By relative path of a source file: the lines (from 1) that some test runs."""


class Planted(NamedTuple):
    """One bug."""

    modifier: str
    """Its kind, by name."""
    function: Function
    """The function, healthy."""
    source: bytes
    """The function's whole file with the bug."""


def plant(
    found: Sequence[Function],
    rng: random.Random,
    *,
    modifiers: Mapping[str, Modifier],
    covered: Covered | None = None,
) -> Iterator[Planted]:
    """Bugs in the functions of ``found``, round robin over ``modifiers`` and, within one, over functions.

    Lazy, and deterministic under ``rng``'s seed. Each compiles, and none means what the healthy file or another means.

    Args:
        covered: where known, the lines that tests reach; an edit on other lines is left out.
    """
    uses: Counter[str] = Counter()
    queues = {name: _Queue(modifier, found, rng, covered) for name, modifier in modifiers.items()}
    known = _Known()
    while queues:
        for name in list(queues):
            planted = _next(name, queues[name], uses, known)
            if planted is None:
                del queues[name]
            else:
                yield planted


def _next(name: str, queue: "_Queue", uses: Counter[str], known: "_Known") -> Planted | None:
    """The next edit of one modifier that compiles and makes a difference not seen before."""
    while (site := queue.pop(uses)) is not None:
        function, edit = site
        source = edit.apply(function.source)
        if known.is_new(function, source):
            uses[function.path] += 1
            uses[function.target] += 1
            return Planted(name, function, source)
    return None


class _Queue:
    """The sites of one modifier: from the function that was spoilt least so far, each function's in random order."""

    def __init__(
        self, modifier: Modifier, found: Sequence[Function], rng: random.Random, covered: Covered | None
    ) -> None:
        self._sites: list[tuple[Function, list[Edit]]] = []
        for function in rng.sample(found, len(found)):
            edits = [edit for edit in modifier(function) if _is_reached(function, edit, covered)]
            if edits:
                self._sites.append((function, rng.sample(edits, len(edits))))

    def pop(self, uses: Counter[str]) -> tuple[Function, Edit] | None:
        if not self._sites:
            return None
        at = min(range(len(self._sites)), key=lambda index: (*_wear(self._sites[index][0], uses), index))
        function, edits = self._sites[at]
        edit = edits.pop()
        if not edits:
            del self._sites[at]
        return function, edit


class _Known:
    """The meanings of the healthy files and of all planted ones so far."""

    def __init__(self) -> None:
        self._healthy: dict[str, Meaning | None] = {}
        self._seen: set[tuple[str, int]] = set()

    def is_new(self, function: Function, source: bytes) -> bool:
        if function.path not in self._healthy:
            self._healthy[function.path] = meaning(function.source)
        healthy, now = self._healthy[function.path], meaning(source)
        if healthy is None or now is None or now == healthy or (function.path, hash(now)) in self._seen:
            return False
        self._seen.add((function.path, hash(now)))
        return True


def _wear(function: Function, uses: Counter[str]) -> tuple[int, int]:
    return uses[function.target], uses[function.path]


def _is_reached(function: Function, edit: Edit, covered: Covered | None) -> bool:
    """Whether a test runs a line of the edit or the statement it is in."""
    if covered is None:
        return True
    lines = covered.get(function.path, frozenset())
    body = function.body
    if lines.isdisjoint(range(body.start_point.row + 1, body.end_point.row + 2)):
        return False
    node = function.node.descendant_for_byte_range(edit.start, max(edit.start, edit.end - 1))
    while node is not None and not node.type.endswith(("_statement", "_clause", "_definition")):
        node = node.parent
    first = function.source.count(b"\n", 0, edit.start) + 1
    last = first + function.source.count(b"\n", edit.start, edit.end)
    own = {node.start_point.row + 1} if node is not None else set()
    return not lines.isdisjoint(own | set(range(first, last + 1)))
