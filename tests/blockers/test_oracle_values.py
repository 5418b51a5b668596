"""Values that come out of a probe's sandbox: what the runner writes, what the host reads, and what it makes of it."""

import enum
import itertools
import json
from collections import Counter, OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_env.grading.runner.probes import to_text
from blockers.oracle import NotPlainError, Report, decode_plain, is_met, read_lines, unmet_probes, wrong_value
from tasks.oracle import Probe, Slot, SlotKind

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
)
hashable = st.one_of(scalars, st.tuples(scalars, scalars), st.frozensets(scalars, max_size=3))
plain = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(hashable, inner, max_size=2),
        st.sets(hashable, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(plain)
def test_plain_data_comes_out_as_it_was(value: object) -> None:
    got = decode_plain(to_text(value))
    assert got == value
    assert type(got) is type(value)


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class AnyText(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Hostile(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [("forged", 1)]

    def __iter__(self) -> Any:
        raise OSError


class Row(list):  # type: ignore[type-arg]
    def __eq__(self, other: object) -> bool:
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]


class Vector:
    """Equal to any sequence of the same numbers, and no plain data."""

    def __init__(self, *numbers: object) -> None:
        self.numbers = numbers

    def __eq__(self, other: object) -> bool:
        return list(self.numbers) == list(other)  # type: ignore[call-overload, no-any-return]

    def __iter__(self) -> Iterator[object]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> object:
        return self.numbers[place]


class Endless(Vector):
    def __iter__(self) -> Iterator[object]:
        return itertools.count()


class Bag:
    def __init__(self, *items: object) -> None:
        self.items = items

    def __iter__(self) -> Iterator[object]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Weight:
    def __index__(self) -> int:
        return 7


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected", "met"),
    [
        (AnyText("x"), "x", True),
        ([AnyText("x")], ["x"], True),
        (AnyText("y"), "x", False),
        (Row([1, 2]), [1, 2], True),
        (Row([1]), [1, 2], False),
        (Vector(1, 2), [1, 2], True),
        (Vector(1, 2), (1, 2), True),
        (Vector(1, 2), {1, 2}, False),
        (Vector(2, 1), [1, 2], False),
        ({"a": [Vector(1)]}, {"a": [(1,)]}, True),
        (Vector(Row([1]), 2), [[1], 2], True),
        (UserDict(a=1), {"a": 1}, True),
        (UserDict(a=2), {"a": 1}, False),
        (Bag(1, 2), {2, 1}, True),
        (Weight(), 7, True),
        (Weight(), 8, False),
    ],
)
def test_a_class_with_its_own_equality_counts_as_what_it_holds(value: object, expected: object, met: bool) -> None:
    slot = Slot(number=0, kind="eq", expected=(to_text(expected),))
    assert is_met(slot, to_text(value), to_text(expected)) is met
    with pytest.raises(NotPlainError):
        decode_plain(to_text(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, 2), (1, 2)),
        (OrderedDict(a=1), {"a": 1}),
        (Counter("aa"), {"a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Colour.RED, 1),
        (Text("x"), "x"),
        (Hostile(a=1), {"a": 1}),
        (bytearray(b"x"), b"x"),
        ({"a": 1}.keys(), {"a"}),
        (Fraction(1, 2), 0.5),
        (Decimal("2.50"), Decimal("2.5")),
        (float("-inf"), float("-inf")),
        (-(1 << 70), -(1 << 70)),
    ],
)
def test_subclasses_come_out_as_their_base(value: object, expected: object) -> None:
    assert decode_plain(to_text(value)) == expected


NESTED: list[Any] = []
for _ in range(30):
    NESTED = [NESTED]
LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [object(), iter([1]), int, NESTED, LOOP, "x" * 70_000, [0] * 5000, 1 << 40_000, Endless(), [Endless()]],
    ids=["object", "iterator", "class", "depth", "loop", "text", "parts", "digits", "endless", "one inside"],
)
def test_what_is_no_plain_data_is_opaque(value: object) -> None:
    text = to_text(value)
    assert text.startswith('["opaque"')
    with pytest.raises(NotPlainError):
        decode_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "1",
        "NaN",
        "[]",
        '["int", 1]',
        '["int", "0x1 "]',
        '["int", "1_0"]',
        '["float", "x"]',
        '["bytes", "0"]',
        '["fraction", "1/0"]',
        '["fraction", "1e999999999"]',
        '["decimal", "1e999999999"]',
        '["decimal", "x"]',
        '["decimal", "sNaN"]',
        '["object", []]',
        '["list", 1]',
        '["dict", [[1]]]',
        '["dict", [[["list", []], null]]]',
        '["set", [["list", []]]]',
        '["list", [["opaque", "x"]]]',
        '["list", [' * 5000,
        '["list", [' * 30 + "]]" * 30,
        '"' + "x" * 70_000 + '"',
        "null null",
        '["like", ["list", []]]',
        '["list", [["like", ["sequence", []]]]]',
        '["sequence", []]',
    ],
)
def test_text_that_stands_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(NotPlainError):
        decode_plain(text)


PROBE = Probe(
    test="t",
    program=0,
    entry="e",
    slots=(
        Slot(number=0, kind="eq", expected=('["int", "1"]', '["int", "2"]')),
        Slot(number=1, kind="is", expected=("true",)),
        Slot(number=2, kind="raises", expected=('["list", ["ValueError"]]',)),
    ),
)
RIGHT = [
    ["a", 0, '["float", "0x1.0p+0"]'],
    ["a", 1, "true"],
    ["a", 0, '["int", "2"]'],
    ["a", 2, '["list", ["UnicodeError", "ValueError"]]'],
    ["a", None, None],
]


def objection(lines: list[list[object]]) -> str:
    reports = read_lines(json.dumps(line) for line in lines)
    return unmet_probes({0: PROBE}, {0: reports["a"]} if "a" in reports else {}).get(0, "")


def test_what_is_right_is_met() -> None:
    assert objection(RIGHT) == ""


WRONG = {
    "nothing": [],
    "no end": RIGHT[:-1],
    "an end before all": [RIGHT[-1], *RIGHT],
    "two ends": [*RIGHT, RIGHT[-1]],
    "a value after the end": [*RIGHT, RIGHT[0]],
    "a value too few": RIGHT[1:],
    "a value too many": [RIGHT[1], *RIGHT],
    "another order": [RIGHT[2], RIGHT[1], RIGHT[0], *RIGHT[3:]],
    "another value": [["a", 0, '["int", "3"]'], *RIGHT[1:]],
    "an opaque value": [["a", 0, '["opaque", "x.Any"]'], *RIGHT[1:]],
    "no value": [["a", 0], *RIGHT[1:]],
    "a value and the expected one": [["a", 0, '["int", "1"]', '["int", "1"]'], *RIGHT[1:]],
    "a value of another form": [["a", 0, 1], *RIGHT[1:]],
    "1 for True": [RIGHT[0], ["a", 1, '["int", "1"]'], *RIGHT[2:]],
    "another exception": [*RIGHT[:3], ["a", 2, '["list", ["KeyError"]]'], RIGHT[-1]],
    "no exception": [*RIGHT[:3], ["a", 2, '["list", []]'], RIGHT[-1]],
    "an unknown slot": [["a", 7, "null"], *RIGHT],
    "a slot that is no number": [["a", True, "null"], *RIGHT],
    "another label": [["b", *line[1:]] for line in RIGHT],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_exactly_right_is_not_met(name: str) -> None:
    assert objection(WRONG[name])


@pytest.mark.parametrize(
    ("kind", "value", "expected", "met"),
    [
        ("in", [1, 2], [[1, 2]], True),
        ("in", "b", "abc", True),
        ("in", 3, "abc", False),
        ("in", 3, 4, False),
        ("in", [1], {1}, False),
        ("holds", "a big cat", "big", True),
        ("holds", "a cat", "big", False),
        ("holds", {1: 2}, 1, True),
        ("holds", 5, 5, False),
        ("is", None, None, True),
        ("is", 0, False, False),
        ("ne", 1, 2, True),
        ("ne", 1, 1.0, False),
        ("lt", 1, 2, True),
        ("le", 2, 2, True),
        ("gt", (1, 2), (1,), True),
        ("ge", 1, 2, False),
        ("lt", 1, "a", False),
    ],
)
def test_each_kind_of_slot_compares_as_python_does(kind: SlotKind, value: object, expected: object, met: bool) -> None:
    slot = Slot(number=0, kind=kind, expected=(to_text(expected),))
    assert is_met(slot, to_text(value), to_text(expected)) is met


def test_lines_that_are_none_count_for_nothing() -> None:
    noise = ["", "x", "[]", "{}", "null", "[1, 2, 3]", '"abc"', "[" * 10_000, "[null, null, null]"]
    reports = read_lines([*noise, *(json.dumps(line) for line in RIGHT), *noise])
    assert set(reports) == {"a"}
    assert not wrong_value(PROBE, reports["a"])


def test_a_probe_without_slots_must_run_to_its_end() -> None:
    bare = PROBE.model_copy(update={"slots": ()})
    assert unmet_probes({0: bare}, {0: Report({}, ended=True)}) == {}
    assert unmet_probes({0: bare}, {0: Report({}, ended=False)})
    assert unmet_probes({0: bare}, {})
