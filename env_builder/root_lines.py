"""Where the solutions' lines of a whole build stand in the sandbox's root, searched for all at once, and its modules.

To go over the root for each candidate by itself would take about as long as its validation. The root, less the tree and
the packages, is the same for all environments of one interpreter.
"""

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

from agent_env.root_search import AUDITED_APART, SEARCH_LIMITS
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.leaks.image import Hits, find_lines, list_modules, telling
from env_builder.candidate import Candidate
from tasks.patch import reader


class RootLines:
    """Searches when it is first asked; safe to use from several threads."""

    def __init__(self, backend: SandboxBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._expected: set[str] = set()
        self._hits: dict[str, Hits] = {}
        self._modules: dict[str, list[str]] = {}
        """Both by version of the interpreter."""

    def expect(self, candidates: Iterable[tuple[Candidate, Path]]) -> None:
        """Look for these candidates' lines too when something is looked for.

        Args:
            candidates: each with the tree that it stands on.
        """
        for candidate, tree in candidates:
            self._expected |= solution_lines(candidate, tree)

    def find(self, lines: frozenset[str], build: Build) -> Hits:
        """Where lines stand, and all those that were expected.

        Raises:
            SandboxError: the machine failed.
            AuditError: the search did not run to its end.
        """
        python = build.environment.python
        with self._lock:
            known = self._hits.get(python)
            if known is None or not lines <= known.searched:
                with contextlib.closing(self._backend.create(build.spec(limits=SEARCH_LIMITS))) as sandbox:
                    known = find_lines(sandbox, self._expected | lines, skipped=AUDITED_APART)
                self._hits[python] = known
            return known

    def modules(self, build: Build) -> list[str]:
        """Paths of the Python modules there.

        Raises:
            SandboxError, AuditError: as for ``find``.
        """
        python = build.environment.python
        with self._lock:
            if python not in self._modules:
                with contextlib.closing(self._backend.create(build.spec(limits=SEARCH_LIMITS))) as sandbox:
                    self._modules[python] = list_modules(sandbox, skipped=AUDITED_APART)
            return self._modules[python]


def solution_lines(candidate: Candidate, tree: Path) -> frozenset[str]:
    """Lines that a candidate's solution has and its start has not, as far as they tell anything."""
    before, after = reader(tree, candidate.broken), reader(tree, candidate.gold)
    paths = {*candidate.broken, *candidate.gold}
    return telling(line for path in paths for line in set(_lines(after(path))) - set(_lines(before(path))))


def _lines(content: bytes | None) -> list[str]:
    return [line.strip() for line in (content or b"").decode(errors="replace").splitlines()]
