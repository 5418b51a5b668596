"""Plants bugs in the functions of a snapshot: diverse from the first, never a no-op, never code that cannot compile."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath

from env_builder.candidate import Candidate
from env_builder.snapshot import RepoSnapshot
from env_builder.strategies.meaning import Meaning, meaning
from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function, functions
from env_builder.strategies.procedural.modifiers import MODIFIERS, Modifier
from tasks.paths import PathKind, path_kind
from tasks.tree import list_files

Covered = Mapping[str, AbstractSet[int]]
"""By relative path of a source file: the lines (from 1) that some test runs."""

LARGEST_FILE = 1_000_000
"""Bytes; a larger source file is generated code or data."""

_BESIDE_THE_CODE = frozenset(
    {"doc", "docs", "example", "examples", "bench", "benchmark", "benchmarks", "misc", "scripts", "tools"}
    | {"vendor", "_vendor", "vendored", "third_party"}
)
"""Folders whose Python files no test imports, or that are somebody else's code."""

_GENERATED = frozenset({"conf.py", "versioneer.py", "_version.py", "version.py", "__about__.py"})


class ProceduralStrategy:
    """One candidate for each edit of each modifier, round robin over modifiers and, within one, over functions.

    Args:
        modifiers: the kinds of bugs, by name.
        covered: where known, the lines that tests reach; an edit on other lines is not tried. A file that is not
            named is reached by none.
    """

    def __init__(self, *, modifiers: Mapping[str, Modifier] = MODIFIERS, covered: Covered | None = None) -> None:
        self._modifiers = modifiers
        self._covered = covered

    def candidates(self, snapshot: RepoSnapshot, rng: random.Random) -> Iterator[Candidate]:
        """Candidates of a snapshot; lazy, deterministic under ``rng``'s seed, and no two with the same meaning."""
        found = list(_source_functions(snapshot))
        uses: Counter[str] = Counter()
        queues = {name: _Queue(modifier, found, rng, self._covered) for name, modifier in self._modifiers.items()}
        known = _Known()
        while queues:
            for name in list(queues):
                planted = self._next(queues[name], uses, known)
                if planted is None:
                    del queues[name]
                    continue
                function, source = planted
                yield Candidate(
                    repo=snapshot.repo,
                    commit=snapshot.commit,
                    strategy=f"procedural.{name}",
                    broken={function.path: source},
                    gold={},
                    tests={},
                    target=f"{function.path}:{function.qualname}",
                )

    def _next(self, queue: "_Queue", uses: Counter[str], known: "_Known") -> tuple[Function, bytes] | None:
        """The next edit of one modifier that compiles and makes a difference not seen before."""
        while (site := queue.pop(uses)) is not None:
            function, edit = site
            source = edit.apply(function.source)
            if known.is_new(function, source):
                uses[function.path] += 1
                uses[f"{function.path}:{function.qualname}"] += 1
                return function, source
        return None


class _Queue:
    """The sites of one modifier: from the function that was spoilt least so far, each function's in random order."""

    def __init__(self, modifier: Modifier, found: list[Function], rng: random.Random, covered: Covered | None) -> None:
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
    return uses[f"{function.path}:{function.qualname}"], uses[function.path]


def _source_functions(snapshot: RepoSnapshot) -> Iterator[Function]:
    for path in list_files(snapshot.tree):
        if not path.endswith(".py") or path_kind(path) is not PathKind.SOURCE or _is_beside(path):
            continue
        file = snapshot.tree / path
        if file.is_symlink() or file.stat().st_size > LARGEST_FILE:
            continue
        source = file.read_bytes()
        if _is_utf8(source):
            yield from functions(path, source)


def _is_beside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[-1] in _GENERATED or any(part in _BESIDE_THE_CODE for part in parts[:-1])


def _is_utf8(source: bytes) -> bool:
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True


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
