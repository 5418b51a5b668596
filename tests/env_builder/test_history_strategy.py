"""The history strategy: which steps of a project's past become candidates, and with which edits."""

import random
from datetime import UTC, datetime
from pathlib import Path

from env_builder.history import CommitPair
from env_builder.snapshot import RepoSnapshot
from env_builder.sources.base import HistoryKind
from env_builder.strategies.history import LARGEST_COMMIT, HistoryStrategy, candidate_of, changed_lines, is_gold

BEFORE = {"lib/a.py": b"def f(x):\n    return x\n", "tests/test_a.py": b"def test_f(): pass\n", "README.md": b"old"}


def pair(
    tmp_path: Path, changed: dict[str, bytes | None], *, subject: str = "Mend f", kind: HistoryKind = "commit"
) -> CommitPair:
    tree = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    for path, content in BEFORE.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    before = RepoSnapshot(
        repo="lib",
        source="/lib",
        commit="b" * 40,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        version="1",
        licence="MIT",
        tree=tree,
    )
    return CommitPair(before=before, after="a" * 40, subject=subject, kind=kind, changed=changed)


NEW_TEST = b"from lib.a import f\n\ndef test_f():\n    assert f(1) == 2\n"
FIX = b"def f(x):\n    return x + 1\n"


def test_source_is_gold_tests_are_tests_and_the_rest_is_left_out(tmp_path: Path) -> None:
    found = candidate_of(
        pair(
            tmp_path,
            {
                "lib/a.py": FIX,
                "lib/data.json": b"{}",
                "lib/gone.py": None,
                "tests/test_a.py": NEW_TEST,
                "tests/data/x.txt": b"x",
                "README.md": b"new",
                "docs/guide.py": b"x = 1",
                "CHANGES": b"new",
                "setup.py": b"setup()",
            },
        )
    )
    assert found is not None
    assert found.gold == {"lib/a.py": FIX, "lib/data.json": b"{}", "lib/gone.py": None}
    assert found.tests == {"tests/test_a.py": NEW_TEST, "tests/data/x.txt": b"x"}
    assert found.broken == {}
    assert (found.commit, found.strategy, found.target) == ("b" * 40, "history.commit", "Mend f")
    assert found.id.startswith("lib-history.commit-")


def test_steps_that_change_no_behaviour_or_no_test_are_skipped(tmp_path: Path) -> None:
    commented = b"# why\ndef f(x):\n    '''Doc.'''\n    return (x)\n"
    for changed in (
        {"lib/a.py": commented, "tests/test_a.py": NEW_TEST},
        {"lib/a.py": FIX},
        {"lib/data.json": b"{}", "tests/test_a.py": NEW_TEST},
        {"lib/a.py": FIX, "tests/test_a.py": None},
        {"lib/a.py": FIX, "tests/data.txt": b"x"},
        {"lib/a.py": FIX, "lib/logo.bin": b"\0\1", "tests/test_a.py": NEW_TEST},
        {"lib/a.py": FIX, "tests/test_a.py": NEW_TEST, "tests/latin.txt": b"\xe9"},
    ):
        assert candidate_of(pair(tmp_path, changed)) is None


def test_large_commits_are_skipped_and_large_releases_come_last(tmp_path: Path) -> None:
    large = b"".join(b"x%d = %d\n" % (number, number) for number in range(LARGEST_COMMIT + 1))
    edits = {"tests/test_a.py": NEW_TEST}
    commits = [pair(tmp_path, {"lib/a.py": large, **edits}), pair(tmp_path, {"lib/a.py": FIX, **edits})]
    assert changed_lines(commits[0]) > LARGEST_COMMIT
    assert changed_lines(commits[1]) == 2
    chosen = list(HistoryStrategy(commits).candidates(commits[0].before, random.Random(0)))
    assert [candidate.gold["lib/a.py"] for candidate in chosen] == [FIX]

    releases = [
        pair(tmp_path, {"lib/a.py": large, **edits}, kind="release", subject="2.0"),
        pair(tmp_path, {"lib/a.py": FIX, **edits}, kind="release", subject="1.1"),
    ]
    chosen = list(HistoryStrategy(releases).candidates(releases[0].before, random.Random(0)))
    assert [candidate.target for candidate in chosen] == ["1.1", "2.0"]
    assert {candidate.strategy for candidate in chosen} == {"history.release"}


def test_order_depends_on_the_seed_alone(tmp_path: Path) -> None:
    pairs = [
        pair(tmp_path, {"lib/a.py": FIX + b"\ny = %d\n" % number, "tests/test_a.py": NEW_TEST}, subject=str(number))
        for number in range(8)
    ]

    def order(seed: int) -> list[str]:
        found = HistoryStrategy(pairs).candidates(pairs[0].before, random.Random(seed))
        return [candidate.target for candidate in found]

    assert order(1) == order(1)
    assert sorted(order(1)) == sorted(order(2))
    assert order(1) != order(2)


def test_gold_is_source_that_code_needs() -> None:
    kept = ("lib/a.py", "lib/py.typed.pyi", "lib/data/table.csv", "src/lib/x.json")
    left = ("README.rst", "docs/conf.py", "tests/test_a.py", "setup.py", "LICENSE", "lib/notes.md", "doc/x.py")
    assert all(is_gold(path) for path in kept)
    assert not any(is_gold(path) for path in left)
