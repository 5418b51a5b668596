"""Plants bugs in the functions of a snapshot: diverse from the first, never a no-op, never code that cannot compile."""

import random
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from env_builder.candidate import Candidate
from env_builder.snapshot import RepoSnapshot
from env_builder.strategies.procedural.function import Function, functions
from env_builder.strategies.procedural.modifiers import MODIFIERS, Modifier
from env_builder.strategies.procedural.planting import Covered, plant
from tasks.paths import PathKind, path_kind
from tasks.tree import list_files

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
        for planted in plant(found, rng, modifiers=self._modifiers, covered=self._covered):
            yield Candidate(
                repo=snapshot.repo,
                commit=snapshot.commit,
                strategy=f"procedural.{planted.modifier}",
                broken={planted.function.path: planted.source},
                gold={},
                tests={},
                target=planted.function.target,
            )


def _source_functions(snapshot: RepoSnapshot) -> Iterator[Function]:
    for path in list_files(snapshot.tree):
        if not path.endswith(".py") or path_kind(path) is not PathKind.SOURCE or is_beside_the_code(path):
            continue
        file = snapshot.tree / path
        if file.is_symlink() or file.stat().st_size > LARGEST_FILE:
            continue
        source = file.read_bytes()
        if _is_utf8(source):
            yield from functions(path, source)


def is_beside_the_code(path: str) -> bool:
    """Whether a Python file is one that no test imports, or somebody else's code: documents, vendored, generated."""
    parts = PurePosixPath(path).parts
    return parts[-1] in _GENERATED or any(part in _BESIDE_THE_CODE for part in parts[:-1])


def _is_utf8(source: bytes) -> bool:
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True
