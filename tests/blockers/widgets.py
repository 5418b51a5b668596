"""A small project with two tasks, for the leak audit's tests: one mined from history, one made by a modifier."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from tasks.patch import make_patch
from tasks.tree import Edits

BEFORE = '''\
"""Ranges of widgets."""

from collections import deque


def spread(widgets, step):
    """Every step-th widget."""
    chosen = deque()
    for position, widget in enumerate(widgets):
        if position % step == 0:
            chosen.append(widget)
    return list(chosen)


def merge_ranges(ranges, gap):
    """Join ranges that lie closer than gap."""
    merged = []
    for low, high in sorted(ranges):
        if merged and low - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged
'''

AFTER = '''\
"""Ranges of widgets."""

from collections import deque

from widgets.edges import widen_edges


def spread(widgets, step):
    """Every step-th widget."""
    chosen = deque()
    for position, widget in enumerate(widgets):
        if position % step == 0:
            chosen.append(widget)
    return list(chosen)


def _furthest_edge_of(merged, high):
    """The end of a joined range, where one range may lie inside another."""
    return max(merged[-1][1], high)


def merge_ranges(ranges, gap):
    """Join ranges that lie closer than gap."""
    merged = []
    for low, high in sorted(widen_edges(ranges)):
        if merged and low - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], _furthest_edge_of(merged, high))
        else:
            merged.append((low, high))
    return merged
'''

EDGES = '''\
"""Edges of ranges."""


def widen_edges(ranges):
    """Ranges with their edges in order, whichever way round they came."""
    return [(min(pair), max(pair)) for pair in ranges]
'''

BUGGY = BEFORE.replace("position % step == 0", "position % step != 0")

TESTS_AFTER = """\
from widgets.core import merge_ranges, spread
from widgets.edges import widen_edges


def test_merge_ranges_joins_neighbours():
    assert merge_ranges([(1, 2), (3, 4)], 1) == [(1, 4)]


def test_merge_ranges_keeps_distance():
    assert merge_ranges([(1, 2), (30, 40)], 1) == [(1, 2), (30, 40)]


def test_merge_ranges_with_one_inside_another():
    assert merge_ranges([(1, 20), (3, 4)], 1) == [(1, 20)]


def test_spread_takes_every_second():
    assert spread("abcdef", 2) == ["a", "c", "e"]


def test_widen_edges_turns_pairs_round():
    assert widen_edges([(4, 1)]) == [(1, 4)]
"""

TESTS_BEFORE = TESTS_AFTER.replace("from widgets.edges import widen_edges\n", "").partition("def test_widen")[0]

CORE = "widgets/core.py"
TEST_PATH = "tests/test_core.py"


class Project(NamedTuple):
    """A task's patches, and the roots on disk."""

    gold_patch: str
    setup_patch: str
    hidden_files: Edits
    roots: dict[str, Path]
    solution: bytes
    """``widgets/core.py`` as the solution has it."""
    failing: tuple[str, ...]
    """Fail-to-pass tests."""

    @property
    def tree(self) -> Path:
        return self.roots["tree"]

    @property
    def packages(self) -> Path:
        return self.roots["venv"] / "lib/python3.11/site-packages"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def history(folder: Path) -> Project:
    """The tree is the commit before; the setup removes the old tests."""
    roots = _roots(folder, BEFORE)
    hidden = {TEST_PATH: TESTS_AFTER.encode()}
    return Project(
        _patch(((CORE, BEFORE),), ((CORE, AFTER), ("widgets/edges.py", EDGES))),
        _patch(((TEST_PATH, TESTS_BEFORE),), ()),
        hidden,
        roots,
        AFTER.encode(),
        (f"{TEST_PATH}::test_merge_ranges_with_one_inside_another", f"{TEST_PATH}::test_widen_edges_turns_pairs_round"),
    )


def procedural(folder: Path) -> Project:
    """The tree is the solution; the setup breaks one line and removes the tests."""
    roots = _roots(folder, BEFORE)
    broken = ((CORE, BUGGY),)
    gold_patch = _patch(broken, ((CORE, BEFORE),))
    setup_patch = _patch(((CORE, BEFORE), (TEST_PATH, TESTS_BEFORE)), broken)
    failing = (f"{TEST_PATH}::test_spread_takes_every_second",)
    return Project(gold_patch, setup_patch, {TEST_PATH: TESTS_BEFORE.encode()}, roots, BEFORE.encode(), failing)


@cache
def _patch(before: tuple[tuple[str, str], ...], after: tuple[tuple[str, str], ...]) -> str:
    return make_patch(*({path: text.encode() for path, text in side} for side in (before, after)))


def _roots(folder: Path, core: str) -> dict[str, Path]:
    tree, venv = folder / "tree", folder / "venv"
    write(tree / "widgets/__init__.py", "from widgets.core import merge_ranges, spread\n")
    write(tree / "widgets/core.py", core)
    write(tree / "widgets/cycles.py", "def cycles(widgets, step):\n    for widget in widgets:\n        yield widget\n")
    write(tree / TEST_PATH, TESTS_BEFORE)
    write(tree / "README.rst", "Widgets\n=======\n\n>>> from widgets import merge_ranges\n")
    write(tree / "CHANGELOG.md", "# Changes\n\n- 1.0: ranges are merged\n")
    write(tree / "LICENSE", "Permission is hereby granted, free of charge, to any person obtaining a copy\n")
    packages = venv / "lib/python3.11/site-packages"
    write(packages / "other/__init__.py", "from collections import deque\n\nmerged = []\nreturn_merged = True\n")
    write(packages / "other-1.0.dist-info/METADATA", "Name: other\nVersion: 1.0\n\nOther things than widgets.\n")
    write(packages / "other-1.0.dist-info/RECORD", "other/__init__.py,sha256=abc,80\n")
    write(packages / "widgets-1.0.dist-info/RECORD", "__editable__.widgets.pth,,\n")
    write(
        packages / "widgets-1.0.dist-info/direct_url.json", '{"url": "file:///testbed", "dir_info": {"editable": true}}'
    )
    return {"tree": tree, "venv": venv}
