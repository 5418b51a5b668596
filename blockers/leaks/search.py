"""The searches of a leak audit over the indexed roots of one task; the rules stand in ``blockers.leak_audit``."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from blockers.findings import Finding
from blockers.leaks.failing import failing_source
from blockers.leaks.index import MIN_LINE, WINDOW, LeakIndex, Place, tells
from blockers.leaks.marks import GoldMarks, Window, import_path, runs
from blockers.leaks.newer import NewerMarks
from blockers.leaks.places import stale_bytecode
from blockers.leaks.texts import code_names, is_code, numbered
from tasks.paths import PathKind, path_kind
from tasks.tree import Edits

TREE = "tree"
"""Name of the root to which the setup patch belongs."""

START = "start"
"""Name under which findings show the files that the setup patch changed."""

MIN_NAME = 10
"""Shortest identifier that counts in a file; shorter ones meet by chance among thousands of files."""

COPY_SHARE = 0.6
"""Share of its lines from which one file counts as a copy of another."""

MIN_RUNS = 3
"""Fewest runs of lines that make a file elsewhere a copy of what is new in a hidden test file."""

MIN_NAMES = 5
"""Fewest names that make a compiled file one."""

_GENERATED = re.compile(r"(^|/)(\.\w*cache|__pycache__|build|dist|htmlcov|[^/]*\.egg-info)/")
"""Folders that tools fill from the code as it was: no name of the solution stands there by right."""


class Hit(NamedTuple):
    """A place in a root."""

    root: str
    place: Place

    @property
    def where(self) -> str:
        return f"{self.root}:{self.place.path}"


class LeakSearch:
    """One task's searches.

    Args:
        indexes: the roots, ``TREE`` among them.
        start: the files that the setup patch changes, after it.
        before, solution: the files that the gold patch changes, before and after it.
        marks: of the gold patch.
    """

    def __init__(
        self, indexes: Mapping[str, LeakIndex], start: Edits, before: Edits, solution: Edits, marks: GoldMarks
    ) -> None:
        self._indexes = {**indexes, START: LeakIndex.of_files(start)}
        self._masked = frozenset(start)
        self._touched = frozenset(before)
        self._solution = {import_path(path): _windows(content or b"") for path, content in solution.items()}
        self._marks = marks

    def copies(self) -> Iterator[Finding]:
        """Copies of the changed modules that hold the solution."""
        for module, pairs in self._marks.pairs.items():
            for root, index in self._indexes.items():
                for path in index.copies(module):
                    if self._is_own(root, path):
                        continue
                    document = index.document(path)
                    where = f"{root}:{path}"
                    if not document.compiled:
                        at = next(
                            (at for at in itertools.pairwise(numbered(document.text)) if _texts(at) in pairs), None
                        )
                        if at:
                            yield Finding("installed-copy", where, at[1][0], f"{module} as in the solution: {at[1][1]}")
                    elif root in (TREE, START) or stale_bytecode(index, path):
                        yield Finding("bytecode", where, None, f"{module}, compiled from a source that is not here")

    def newer(self, marks: Mapping[str, NewerMarks]) -> Iterator[Finding]:
        """Copies of the changed modules, under whatever name, as a later release has them; what source of the start
        state has as well only moved."""
        for module, (later, _) in marks.items():
            windows = {run for run in later if not any(map(self._is_of_start, self._hits("windows", run)))}
            copies = {
                f"{root}:{path}": Hit(root, Place(path, None, compiled=False))
                for root, index in self._indexes.items()
                for path in index.copies(module)
                if len(_windows(index.document(path).text.encode()) & windows) >= MIN_RUNS
            }
            for hit in self._most("windows", windows, MIN_RUNS, compiled=False):
                copies.setdefault(hit.where, hit)
            for where, hit in sorted(copies.items()):
                if not self._is_own(hit.root, hit.place.path):
                    yield Finding("newer-release", where, hit.place.line, f"{module} as a later release has it")

    def windows(self) -> Iterator[Finding]:
        """Runs of gold lines, one finding a file."""
        seen: set[str] = set()
        for window in sorted(self._marks.windows):
            for hit in self._hits("windows", window):
                if hit.where not in seen and (not is_code(hit.place.path) or self._is_copy(hit)):
                    seen.add(hit.where)
                    yield Finding("gold-lines", hit.where, hit.place.line, f"lines of the solution: {window[1][:120]}")

    def lines(self) -> Iterator[Finding]:
        """Single gold lines."""
        for line in sorted(self._marks.lines):
            for hit in _foreign(self._hits("lines", line)):
                yield Finding("gold-line", hit.where, hit.place.line, f"a line of the solution: {line[:120]}")

    def names(self, hidden_files: Edits) -> Iterator[Finding]:
        """Identifiers that gold has and the start has not."""
        told = names_in(hidden_files)
        for name in sorted(name for name in self.new_names() if len(name) >= MIN_NAME):
            for hit in _foreign(self._hits("names", name)):
                generated = hit.place.compiled or _GENERATED.search(hit.place.path)
                if generated or name not in told:
                    yield Finding("gold-name", hit.where, None, f"holds {name!r}, which only the solution has")

    def new_names(self) -> frozenset[str]:
        """Identifiers of the gold patch that no source file of the start state has."""
        return frozenset(
            name for name in self._marks.names if not any(self._is_of_start(hit) for hit in self._hits("names", name))
        )

    def hidden(self, hidden_files: Edits, visible: Edits, failing: Collection[str]) -> Iterator[Finding]:
        """Hidden tests, or most of what is new in one, anywhere.

        Args:
            visible: the same files as the start state has them; what the agent may see is not new, also where it moved
                from one of them to another.
            failing: ids of the fail-to-pass tests.
        """
        known = {run for content in visible.values() for run in _windows(content or b"")}
        for path, content in hidden_files.items():
            if not content:
                continue
            if content == visible.get(path):
                yield Finding("hidden-test", f"{START}:{path}", None, "the hidden test file is in the start state")
                continue
            runs_of = {run for run in _windows(content) - known if tells(run)}
            names = {name for name in names_in({path: content}) - names_in(visible) if len(name) >= MIN_NAME}
            most = self._most("windows", runs_of, MIN_RUNS, compiled=False)
            seen = {hit.where for hit in most if not self._is_own_test(hit)}
            seen |= {hit.where for hit in self._own_tests(failing_source(path, content, failing), visible)}
            seen |= {hit.where for hit in self._most("names", names, MIN_NAMES, compiled=True)}
            seen |= set(self._namesakes(path, numbered(content.decode(errors="replace")), visible))
            for where in sorted(seen):
                yield Finding("hidden-test", where, None, f"holds most of the hidden test file {path}")

    def _own_tests(self, source: bytes, visible: Edits) -> Iterator[Hit]:
        """Tests of the start state that hold most of what is new in failing tests: of the runs of lines, or of the
        lines where the tests are too short for runs."""
        before = [content for content in visible.values() if content]
        runs_of = _windows(source).difference(*map(_windows, before))
        lines = set(_lines(source)).difference(*map(_lines, before))
        wanted: set[Window] | set[str] = {run for run in runs_of if tells(run)}
        kind = "windows" if wanted else "lines"
        found = self._most(kind, wanted or {line for line in lines if len(line) >= MIN_LINE}, 1, compiled=False)
        return (hit for hit in found if self._is_own_test(hit))

    def _most(
        self, kind: str, wanted: Collection[str] | Collection[Window], least: int, *, compiled: bool
    ) -> Iterator[Hit]:
        """Files that hold most of what is wanted."""
        count: Counter[str] = Counter()
        hits: dict[str, Hit] = {}
        for text in wanted:
            found = {hit.where: hit for hit in self._hits(kind, text)}
            count.update(found.keys())
            hits |= found
        enough = max(least, len(wanted) * COPY_SHARE)
        return (hits[key] for key, times in count.items() if times >= enough and hits[key].place.compiled is compiled)

    def _namesakes(self, path: str, lines: list[tuple[int, str]], visible: Edits) -> Iterator[str]:
        """Files of the same name and the same lines, less those that the agent may see."""
        for root, index in self._indexes.items():
            for other in index.copies(path.rpartition("/")[2]):
                masked = root == TREE and other in self._masked
                moved = root in (TREE, START) and visible.get(other) is not None
                if not masked and not moved and numbered(index.document(other).text) == lines:
                    yield f"{root}:{other}"

    def _hits(self, kind: str, text: str | tuple[str, ...]) -> list[Hit]:
        return [
            Hit(root, place)
            for root, index in self._indexes.items()
            for place in getattr(index, kind)(text)
            if not (root == TREE and place.path in self._masked)
        ]

    def _is_of_start(self, hit: Hit) -> bool:
        """Whether a place is the start state's own source, stubs and what else the solution changes included."""
        path = hit.place.path
        return hit.root in (TREE, START) and (is_code(path) or path.endswith(".pyi") or path in self._touched)

    @staticmethod
    def _is_own_test(hit: Hit) -> bool:
        """Whether a place is a test of the start state, which repeats other tests by right, but not a failing one."""
        path = hit.place.path
        return hit.root in (TREE, START) and is_code(path) and path_kind(path) is PathKind.TEST

    def _is_own(self, root: str, path: str) -> bool:
        """Whether this is the start state's own version of a changed file, or a version that the start hides."""
        return root in (TREE, START) and (path in self._touched or (root == TREE and path in self._masked))

    def _is_copy(self, hit: Hit) -> bool:
        """Whether a source file is in good part a changed file's solution, or that it."""
        if self._is_own(hit.root, hit.place.path):
            return False
        own = _windows(self._indexes[hit.root].document(hit.place.path).text.encode())
        shared = [(len(own & other), min(len(own), len(other))) for other in self._solution.values()]
        return any(both >= COPY_SHARE * smaller for both, smaller in shared if smaller)


def _texts(lines: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(text for _, text in lines)


def _foreign(hits: list[Hit]) -> list[Hit]:
    """The hits, if no Python source has the same by right; hits in Python source are judged as runs of lines."""
    return [] if any(is_code(hit.place.path) and not hit.place.compiled for hit in hits) else hits


def _lines(content: bytes) -> list[str]:
    return [line for _, line in numbered(content.decode(errors="replace"))]


def _windows(content: bytes) -> set[tuple[str, ...]]:
    return set(runs(_lines(content), WINDOW))


def names_in(files: Edits) -> set[str]:
    """Identifiers in files."""
    texts: Iterable[bytes] = (content for content in files.values() if content)
    return {name for text in texts for name in code_names(text.decode(errors="replace"))}
