"""The procedural strategy: its candidates compile, differ, are diverse, and come in the same order each time."""

import ast
import random
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env_builder.candidate import Candidate
from env_builder.snapshot import RepoSnapshot
from env_builder.strategies.meaning import meaning
from env_builder.strategies.procedural.function import functions
from env_builder.strategies.procedural.modifiers import MODIFIERS
from env_builder.strategies.procedural.strategy import ProceduralStrategy

LIBRARY = '''
"""A library."""
from collections import deque

__version__ = "1.0"


def window(n, seq, *, pad=False):
    """Overlapping windows of ``n`` items."""
    if n < 1:
        raise ValueError(f"expected a positive size, got {n}")
    held = deque(maxlen=n)
    for item in seq:
        held.append(item)
        if len(held) == n or pad and held:
            yield tuple(held)


class Counts:
    def __init__(self, items=()):
        self.seen = {}
        self.total = 0
        for item in items:
            self.add(item)

    def add(self, item, times=1):
        self.seen[item] = self.seen.get(item, 0) + times
        self.total += times
        return self.seen[item] > 1

    def most(self, n):
        try:
            ordered = sorted(self.seen.items(), key=lambda pair: pair[1], reverse=True)
        except TypeError:
            return []
        return [key for key, count in ordered[:n] if count > 0]
'''


@pytest.fixture
def snapshot(tmp_path: Path) -> RepoSnapshot:
    for path, text in {
        "lib/core.py": LIBRARY,
        "lib/other.py": "def double(x, y=2):\n    return x * y\n\n\ndef both(a, b):\n    return a > 0 and b > 0\n",
        "tests/test_core.py": "def test_it():\n    assert 1 + 1 == 2\n",
        "setup.py": "def f():\n    return 1 + 1\n",
        "docs/conf.py": "def f():\n    return 1 + 1\n",
        "lib/broken.py": "def f(:\n    return 1 + 1\n",
        "lib/data.txt": "1 + 1",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "lib" / "latin.py").write_bytes(
        "# -*- coding: latin-1 -*-\ndef f():\n    return 'é'\n".encode("latin-1")
    )
    return snapshot_of(tmp_path)


def snapshot_of(tree: Path) -> RepoSnapshot:
    return RepoSnapshot(
        repo="lib",
        source="/lib",
        commit="c" * 40,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        version="1.0",
        licence="MIT",
        tree=tree,
    )


def candidates(snapshot: RepoSnapshot, seed: int = 0, **options: object) -> list[Candidate]:
    return list(ProceduralStrategy(**options).candidates(snapshot, random.Random(seed)))  # type: ignore[arg-type]


def test_candidates_compile_differ_and_stay_inside_one_function(snapshot: RepoSnapshot) -> None:
    found = candidates(snapshot)
    assert len(found) > 60
    for candidate in found:
        ((path, content),) = candidate.broken.items()
        assert content is not None
        healthy = (snapshot.tree / path).read_bytes()
        assert meaning(content) not in (None, meaning(healthy))
        _, qualname = candidate.target.split(":")
        (function,) = [item for item in functions(path, healthy) if item.qualname == qualname]
        head, tail = healthy[: function.node.start_byte], healthy[function.node.end_byte :]
        assert content.startswith(head)
        assert content.endswith(tail)
        assert (candidate.gold, candidate.tests) == ({}, {})


def test_only_source_files_are_changed(snapshot: RepoSnapshot) -> None:
    assert {path for candidate in candidates(snapshot) for path in candidate.broken} == {"lib/core.py", "lib/other.py"}


def test_no_two_candidates_are_equal(snapshot: RepoSnapshot) -> None:
    found = candidates(snapshot)
    meanings = [(path, meaning(content or b"")) for candidate in found for path, content in candidate.broken.items()]
    assert len(set(meanings)) == len(found)
    assert len({candidate.id for candidate in found}) == len(found)


def test_same_seed_gives_the_same_list_and_another_seed_another_order(snapshot: RepoSnapshot) -> None:
    first = [candidate.id for candidate in candidates(snapshot, 1)]
    assert first == [candidate.id for candidate in candidates(snapshot, 1)]
    assert first != [candidate.id for candidate in candidates(snapshot, 2)]


def test_the_first_candidates_are_diverse(snapshot: RepoSnapshot) -> None:
    first = list(islice(ProceduralStrategy().candidates(snapshot, random.Random(3)), 14))
    assert len({candidate.strategy for candidate in first}) == 14
    assert len({candidate.target for candidate in first}) == 6  # every function of the library
    assert max(Counter(candidate.target for candidate in first).values()) <= 5


def test_ids_say_where_they_come_from(snapshot: RepoSnapshot) -> None:
    for candidate in candidates(snapshot):
        kind = candidate.strategy.removeprefix("procedural.")
        assert kind in MODIFIERS
        assert candidate.id.startswith(f"lib-{candidate.strategy}-")


def test_code_that_no_test_reaches_is_left_alone(snapshot: RepoSnapshot) -> None:
    reached = {line for line, text in enumerate(LIBRARY.splitlines(), 1) if "self.total += times" in text}
    found = candidates(snapshot, covered={"lib/core.py": reached})
    assert {candidate.target for candidate in found} == {"lib/core.py:Counts.add"}
    assert candidates(snapshot, covered={}) == []


def test_only_chosen_modifiers_are_used(snapshot: RepoSnapshot) -> None:
    found = candidates(snapshot, modifiers={"flip_return": MODIFIERS["flip_return"]})
    assert {candidate.strategy for candidate in found} == {"procedural.flip_return"}


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "0", "1", "True", "''", "'x'", "a[0]", "b[1:]", "f(a, b)", "list(a)", "max(a, 1)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "//", "<", "==", "and", "or", "in", "is not"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} if {pair[1]} else b)"),
    ),
    max_leaves=6,
)


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


STATEMENTS = st.recursive(
    EXPRESSIONS.flatmap(
        lambda text: st.sampled_from(
            [
                [f"a = {text}"],
                [f"b += {text}"],
                [f"return {text}"],
                [f"f({text})"],
                [f"assert {text}, 'no'"],
                [f"raise ValueError({text})"],
                [f"a = {text}; b = 1"],
                [f"if {text}: return 1"],
                ["# a comment", "pass"],
            ]
        )
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(EXPRESSIONS, inner).map(lambda pair: [f"if {pair[0]}:", *_indent(pair[1])]),
        st.tuples(inner, inner).map(lambda pair: ["if a:", *_indent(pair[0]), "else:", *_indent(pair[1])]),
        inner.map(lambda body: ["for x in a:", *_indent(body)]),
        inner.map(lambda body: ["try:", *_indent(body), "except KeyError:", "    b = '''x", "  y'''"]),
        inner.map(lambda body: ["with f(a):", *_indent(body), ""]),
    ),
    max_leaves=5,
)


@settings(max_examples=25)
@given(STATEMENTS)
def test_whatever_the_code_candidates_compile_and_differ(
    tmp_path_factory: pytest.TempPathFactory, body: list[str]
) -> None:
    lines = ["def f(a, b=1):", '    """Doc 1."""', *_indent(body), "", "def g(): return 1", ""]
    healthy = "\n".join(lines).encode()
    ast.parse(healthy)
    tree = tmp_path_factory.mktemp("tree")
    (tree / "a.py").write_bytes(healthy)
    for candidate in candidates(snapshot_of(tree)):
        content = candidate.broken["a.py"]
        assert content is not None
        assert meaning(content) not in (None, meaning(healthy))
        assert b'"""Doc 1."""' in content
        if candidate.target == "a.py:f":
            assert content.endswith(b"\ndef g(): return 1\n")


@settings(max_examples=25)
@given(STATEMENTS)
def test_whatever_the_code_edits_parse(body: list[str]) -> None:
    source = "\n".join(["def f(a, b=1):", *_indent(body), "", "def g(): return 1", ""]).encode()
    for function in functions("a.py", source):
        for modifier in MODIFIERS.values():
            for edit in modifier(function):
                ast.parse(edit.apply(source))


def test_meaning_sees_behaviour_alone() -> None:
    plain = meaning(b"def f(a):\n    return a + 1\n")
    assert plain == meaning(b'def f(a):\n\n    """Doc."""  # why\n    return (a + 1)\n')
    assert plain != meaning(b"def f(a):\n    return a + 1.0\n")
    assert plain != meaning(b"def f(a):\n    return a + True\n")
    assert meaning(b"def f(:") is None
    assert meaning(b"x = '\\0'\0") is None
