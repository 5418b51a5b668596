"""Candidates from a project's past: a commit or release that changed source and tests, to be done again."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from env_builder.candidate import Candidate
from env_builder.history import CommitPair
from env_builder.snapshot import RepoSnapshot
from env_builder.strategies.meaning import meaning
from tasks.paths import PathKind, path_kind
from tasks.tree import Edits

LARGEST_COMMIT = 800
"""Changed source lines; a larger commit is an import, a reformatting or many things at once. Releases may be larger."""

_DOCUMENTS = frozenset({".md", ".rst", ".txt", ".png", ".svg", ".jpg", ".gif", ".ipynb", ".cff"})
_DOCUMENT_FOLDERS = frozenset({"doc", "docs", "changes", "changelog.d", "news", "newsfragments", "release-notes"})


class HistoryStrategy:
    """One candidate for each usable pair: tests from after, source from before; the smallest change first.

    Args:
        pairs: the pairs to look at (``env_builder.history.commit_pairs``).
    """

    def __init__(self, pairs: Iterable[CommitPair]) -> None:
        self._pairs = pairs

    def candidates(self, snapshot: RepoSnapshot, rng: random.Random) -> Iterator[Candidate]:
        """Candidates of the snapshot's repository; each has its own parent commit as environment.

        Commits come in random order under ``rng``; releases by size, the smallest first.
        """
        sized = [(changed_lines(pair), pair) for pair in self._pairs if pair.before.repo == snapshot.repo]
        if all(pair.kind == "release" for _, pair in sized):
            sized.sort(key=lambda item: item[0])
        else:
            rng.shuffle(sized)
        for size, pair in sized:
            if pair.kind == "release" or size <= LARGEST_COMMIT:
                found = candidate_of(pair)
                if found is not None:
                    yield found


def candidate_of(pair: CommitPair) -> Candidate | None:
    """The candidate of one pair, or None where it changes no behaviour of Python source, no test, or files not text."""
    gold = {path: content for path, content in pair.changed.items() if is_gold(path)}
    tests = {path: content for path, content in pair.changed.items() if path_kind(path) is PathKind.TEST}
    if not (_changes_meaning(pair, gold) and _holds_python(tests)):
        return None
    if not all(_is_text(content) for edits in (gold, tests) for content in edits.values()):
        return None
    return Candidate(
        repo=pair.before.repo,
        commit=pair.before.commit,
        strategy=f"history.{pair.kind}",
        broken={},
        gold=gold,
        tests=tests,
        target=pair.subject,
    )


def is_gold(path: str) -> bool:
    """Whether a changed file is part of a solution: source and the data it needs, documents left out."""
    pure = PurePosixPath(path)
    document = pure.suffix.lower() in _DOCUMENTS or any(part.lower() in _DOCUMENT_FOLDERS for part in pure.parts[:-1])
    return path_kind(path) is PathKind.SOURCE and not document and bool(pure.suffix)


def changed_lines(pair: CommitPair) -> int:
    """How many lines of source files the pair adds and removes; a line that only moved does not count."""
    total = 0
    for path, content in pair.changed.items():
        if is_gold(path):
            before, after = Counter(_before(pair, path).splitlines()), Counter((content or b"").splitlines())
            total += ((after - before) + (before - after)).total()
    return total


def _before(pair: CommitPair, path: str) -> bytes:
    file = pair.before.tree / path
    return file.read_bytes() if file.is_file() else b""


def _changes_meaning(pair: CommitPair, gold: Edits) -> bool:
    """Whether some Python source file behaves otherwise; comments, docstrings and formatting do not count."""
    for path, content in gold.items():
        if path.endswith(".py"):
            before, after = meaning(_before(pair, path)), meaning(content or b"")
            if before is None or after is None or before != after:
                return True
    return False


def _holds_python(tests: Edits) -> bool:
    return any(path.endswith(".py") and content is not None for path, content in tests.items())


def _is_text(content: bytes | None) -> bool:
    try:
        return content is None or (b"\0" not in content and content.decode() is not None)
    except UnicodeDecodeError:
        return False
