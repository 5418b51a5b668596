"""Validation: what is certified, and what is refused with which word. Real runs on the small project."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_env.grading import run_suite
from agent_env.sandbox.base import Mount
from agent_env.store import Build, EnvironmentStore
from agent_env.workbench import Workbench
from blockers.leaks.image import Hits, find_lines
from env_builder.candidate import Candidate
from env_builder.leak_auditor import LeakAuditor
from env_builder.oracle import OracleMaker
from env_builder.root_lines import RootLines, solution_lines
from env_builder.untouched import UntouchedRuns
from env_builder.validation import Bench, Rejected, Validated, validate
from tasks.pool import Pool
from tasks.task import Statement
from tasks.tree import Edits

pytestmark = pytest.mark.network

WORDS = b"""def shout(text):
    return text.upper() + "!"


def longest(words):
    return max(words, key=len)
"""

Make = Callable[..., Candidate]


@pytest.fixture(scope="module")
def build(graded_pool: Pool, store: EnvironmentStore) -> Build:
    return Workbench(graded_pool, store).build(graded_pool.tasks()[0])


@pytest.fixture(scope="module")
def bench(build: Build, store: EnvironmentStore) -> Bench:
    baseline = run_suite(store.backend, build, {}, ids=None, order_seed=None, timeout=60)
    return Bench(
        build=build,
        backend=store.backend,
        baseline=frozenset(baseline.passed()),
        timeout=20,
        untouched=UntouchedRuns(build, store.backend, 20),
        oracles=OracleMaker(build, store.backend, 20),
        write=lambda draft: Statement(text=f"{len(draft.failures)} failures", method="template"),
        audit=lambda draft, statement: [],
    )


def candidate(broken: Edits | None = None, gold: Edits | None = None, tests: Edits | None = None) -> Candidate:
    return Candidate(
        repo="tiny",
        commit="0" * 40,
        strategy="history.commit" if tests else "procedural.test",
        broken=broken or {},
        gold=gold or {},
        tests=tests or {},
        target="tiny/words.py:shout",
    )


TESTS: Edits = {
    "tests/test_words.py": (
        b"from tiny.words import longest, shout\n\n\ndef test_shout():\n    assert shout('a') == 'A!'\n"
        b"\n\ndef test_longest_of_none():\n    assert longest([]) == 'nothing'\n"
    )
}
GOLD: Edits = {"tiny/words.py": WORDS.replace(b"key=len)", b"key=len, default='nothing')")}


def test_a_mined_change_is_certified_by_three_runs_a_state(bench: Bench) -> None:
    verdict = validate(candidate(gold=GOLD, tests=TESTS), bench)
    assert isinstance(verdict, Validated), verdict
    task = verdict.task
    assert task.fail_to_pass == ("tests/test_words.py::test_longest_of_none",)
    assert task.pass_to_pass == ("tests/test_words.py::test_shout",)
    assert [run.reward for run in task.certificate.start_runs] == [0, 0, 0]
    assert [run.reward for run in task.certificate.gold_runs] == [1, 1, 1]
    assert len({run.order_seed for run in (*task.certificate.start_runs, *task.certificate.gold_runs)}) == 6
    assert set(task.certificate.digests) == {"start_tree", "gold_tree", "environment", "tests", "runner"}
    assert task.setup_patch == ""
    assert "default='nothing'" in task.gold_patch
    assert "test_longest_of_none" in task.test_patch
    assert "test_longest_of_none" not in task.gold_patch
    assert task.oracle
    assert task.oracle.covered() == {*task.fail_to_pass, *task.pass_to_pass}
    assert task.oracle.discriminating
    assert not any("A!" in program.source for program in task.oracle.programs)


def test_the_tests_that_show_a_planted_bug_are_hidden(build: Build, bench: Bench) -> None:
    tests = {
        "tests/test_more.py": b"from tiny.counting import total\n\n\ndef test_total():\n    assert total([1]) == 1\n"
    }
    two = bench._replace(baseline=bench.baseline | {"tests/test_more.py::test_total"})
    broken = {"tiny/words.py": WORDS.replace(b'"!"', b'"?"')}
    verdict = validate(candidate(broken=broken, tests=tests), two)
    assert isinstance(verdict, Validated), verdict
    assert "deleted file" in verdict.task.setup_patch
    assert "test_shout" in verdict.task.test_patch


REJECTED: dict[str, Candidate] = {
    "no_failing_test": candidate(broken={"tiny/words.py": WORDS.replace(b"max(", b"min(")}),
    "breaks_everything": candidate(broken={"tiny/words.py": b"raise OSError\n"}),
    "no_fail_to_pass": candidate(gold={"tiny/words.py": WORDS + b"\n"}, tests=TESTS),
    "timeout": candidate(broken={"tiny/words.py": b"while True: pass\n"}),
    "patch": candidate(gold={**GOLD, "tiny/data.bin": b"\0\xff"}, tests=TESTS),
}


@pytest.mark.parametrize("reason", REJECTED)
def test_what_is_no_task_is_refused_with_its_reason(bench: Bench, reason: str) -> None:
    quick = bench._replace(timeout=3) if reason == "timeout" else bench
    verdict = validate(REJECTED[reason], quick)
    assert isinstance(verdict, Rejected)
    assert verdict.reason == reason


def test_a_copy_of_the_solution_elsewhere_in_the_root_refuses_a_task(
    build: Build, bench: Bench, store: EnvironmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "words.py").write_bytes(GOLD["tiny/words.py"] or b"")
    spec, kit = Build.spec, Mount(source=tmp_path, target="/opt/kit")

    def auditor() -> LeakAuditor:
        return LeakAuditor(build, store.backend, RootLines(store.backend), build.tree)

    audited = bench._replace(audit=auditor())
    assert isinstance(validate(candidate(gold=GOLD, tests=TESTS), audited), Validated)
    monkeypatch.setattr(
        Build, "spec", lambda *layers, limits=None, mounts=(): spec(*layers, limits=limits, mounts=(*mounts, kit))
    )
    verdict = validate(candidate(gold=GOLD, tests=TESTS), bench._replace(audit=auditor()))
    assert isinstance(verdict, Rejected)
    assert verdict.reason == "leak"
    assert "image:/opt/kit/tiny/words.py" in verdict.detail
    (tmp_path / "tiny").rename(tmp_path / "notes")
    (tmp_path / "notes" / "words.py").rename(tmp_path / "notes" / "words.txt")
    verdict = validate(candidate(gold=GOLD, tests=TESTS), bench._replace(audit=auditor()))
    assert isinstance(verdict, Rejected)
    assert "image:/opt/kit/notes/words.txt" in verdict.detail


def test_the_root_is_searched_once_for_all_candidates_that_were_expected(
    build: Build, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[frozenset[str]] = []

    def find(*given: object, **options: object) -> Hits:
        found = find_lines(*given, **options)  # type: ignore[arg-type]
        searched.append(found.searched)
        return found

    monkeypatch.setattr("env_builder.root_lines.find_lines", find)
    root = RootLines(store.backend)
    made = [candidate(gold=GOLD), candidate(gold={"tiny/new.py": b"def a_function_that_is_new(): return 1\n"})]
    root.expect((one, build.tree) for one in made)
    for one in made:
        root.find(solution_lines(one, build.tree), build)
    assert searched == [solution_lines(made[0], build.tree) | solution_lines(made[1], build.tree)]
    root.find(frozenset({"a line that nobody had expected"}), build)
    assert len(searched) == 2


def test_a_leak_refuses_a_task(bench: Bench) -> None:
    verdict = validate(candidate(gold=GOLD, tests=TESTS), bench._replace(audit=lambda *_: ["gold-line: venv:x.py:3"]))
    assert isinstance(verdict, Rejected)
    assert (verdict.reason, verdict.detail) == ("leak", "gold-line: venv:x.py:3")


TRUTH: Edits = {
    "tests/test_words.py": (
        b"from tiny.words import longest, shout\n\n\ndef test_shout():\n    assert shout('a') == 'A!'\n"
        b"\n\ndef test_longest_of_none():\n    assert longest([])\n"
    )
}


@pytest.mark.parametrize(("tests", "kept"), [(TESTS, True), (TRUTH, False)], ids=["a value", "bare truth"])
def test_a_task_is_held_to_values_that_only_the_host_knows(bench: Bench, tests: Edits, kept: bool) -> None:
    made = candidate(gold=GOLD, tests=tests)
    assert isinstance(validate(made, bench._replace(allow_weak_oracle=True)), Validated)
    verdict = validate(made, bench)
    assert isinstance(verdict, Validated) is kept
    assert kept or (isinstance(verdict, Rejected) and verdict.reason == "weak_oracle")


def test_a_test_that_changes_its_mind_is_left_out_and_named(bench: Bench) -> None:
    flaky = (
        b"import os\n\n\ndef test_coin():\n    assert os.urandom(1)[0] < 200\n"
        b"\n\ndef test_coin_again():\n    assert os.urandom(1)[0] < 100\n"
    )
    for _ in range(12):  # a coin that falls the same way six times is possible, twelve times six is not
        verdict = validate(candidate(gold=GOLD, tests={**TESTS, "tests/test_coin.py": flaky}), bench)
        if isinstance(verdict, Validated) and verdict.task.certificate.flaky:
            assert all("test_coin" in test for test in verdict.task.certificate.flaky)
            kept = {*verdict.task.fail_to_pass, *verdict.task.pass_to_pass}
            assert not kept & set(verdict.task.certificate.flaky)
            return
    pytest.fail("no run named a flaky test")
