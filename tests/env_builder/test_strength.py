"""Verifier strength of the small project: real gradings of wrong fixes and of rewritten solutions."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from env_builder.strength.attempt import Kind
from env_builder.strength.measure import StrengthOptions, measure_strength
from env_builder.strength.report import TaskStrength
from repodojo.cli import main
from tasks.errors import BadInputError
from tasks.pool import Pool
from tasks.task import Task
from tests.conftest import certify

pytestmark = [pytest.mark.network, pytest.mark.slow]

ALL = StrengthOptions(most=50)


@pytest.fixture
def bench(graded_pool: Pool, store: EnvironmentStore) -> Workbench:
    return Workbench(graded_pool, store)


@pytest.fixture
def with_tests(bench: Workbench, store: EnvironmentStore) -> Callable[..., Task]:
    """The task about totals with other hidden tests, certified by real runs."""

    def make(*changes: tuple[str, str]) -> Task:
        task = bench.pool.task("tiny-total")
        hidden = task.test_patch
        for old, new in changes:
            assert old in hidden
            hidden = hidden.replace(old, new)
        return certify(task.model_copy(update={"test_patch": hidden}), bench.build(task), store)

    return make


def measure(bench: Workbench, tasks: Sequence[Task], options: StrengthOptions = ALL) -> list[TaskStrength]:
    return list(measure_strength(bench, tasks, options=options).tasks)


def test_strong_tests_kill_every_wrong_fix_and_pass_every_rewritten_solution(bench: Workbench) -> None:
    (found,) = measure(bench, [bench.pool.task("tiny-total")])
    assert found.tally.survivors == []
    assert found.tally.false_rejects == []
    assert {one.how for one in found.attempts if one.kind is Kind.MUTANT} >= {"remove_loop", "change_constant"}
    assert {one.how for one in found.attempts if one.kind is Kind.REWRITTEN} == {"printed anew", "local names changed"}
    assert all(one.reason == "tests_failed" for one in found.attempts if one.kind is not Kind.REWRITTEN)
    assert found.without_mutants == ""
    wrong = found.record()["wrong"]
    assert wrong["mutant"]["tried"] == wrong["mutant"]["killed"] > 4
    assert (wrong["trivial"]["killed"], wrong["partial"]["tried"]) == (3, 0)
    assert found.record()["rewritten"] == {"tried": 2, "rejected": 0}


def test_weak_tests_leave_survivors_that_are_named_and_shown(bench: Workbench, with_tests: Callable[..., Task]) -> None:
    weak = with_tests(("total([1, 2, 3]) == 6", "total([6]) == 6"), ("mean([1, 3]) == 2", "mean([2]) == 2"))
    strong, found = measure(bench, [bench.pool.task("tiny-total"), weak])
    assert strong.tally.survivors == []
    survivors = {(one.how, one.target): one.diff for one in found.tally.survivors}
    assert ("remove_loop", "tiny/counting.py:total") in survivors
    assert "\n+        break\n" in survivors["remove_loop", "tiny/counting.py:total"]
    assert found.tally.false_rejects == []
    assert found.record()["survivors"][0]["kind"] == "mutant"


def test_a_test_that_reads_names_of_variables_rejects_a_rewritten_solution(
    bench: Workbench, with_tests: Callable[..., Task]
) -> None:
    strict = with_tests(
        ("assert total([1, 2, 3]) == 6", "assert total([1, 2, 3]) == 6 and 'result' in total.__code__.co_varnames")
    )
    (found,) = measure(bench, [strict], StrengthOptions(most=1))
    assert [(one.how, one.reason, one.failed) for one in found.tally.false_rejects] == [
        ("local names changed", "tests_failed", ("tests/test_hidden.py::test_total",))
    ]
    assert "+    result_renamed = 0" in found.tally.false_rejects[0].diff


def test_a_task_without_mutants_says_why(bench: Workbench) -> None:
    task = bench.pool.task("tiny-total")
    names = (
        "diff --git a/names.py b/names.py\nnew file mode 100644\n--- /dev/null\n+++ b/names.py\n@@ -0,0 +1 @@\n+A = 1\n"
    )
    constant = task.model_copy(update={"gold_patch": names})
    found = measure(bench, [constant, task], StrengthOptions(most=1))
    assert [one.without_mutants for one in found] == ["the gold patch touches no Python function", ""]
    with pytest.raises(BadInputError, match="no gold patch touches a Python function, in 1 tasks"):
        measure(bench, [constant])


def test_twins_and_empty_pools_are_refused(bench: Workbench, store: EnvironmentStore, tmp_path: Path) -> None:
    twin = bench.pool.task("tiny-total").model_copy(update={"id": "tiny-total-twin", "twin_of": "tiny-total"})
    with pytest.raises(BadInputError, match="impossible twin, which no solution passes: give its original, tiny-total"):
        measure(bench, [twin])
    with pytest.raises(BadInputError, match="holds no task to measure"):
        measure(Workbench(Pool.create(tmp_path / "pool"), store), [])


def test_the_command_keeps_one_record_a_task(
    graded_pool: Pool,
    store: EnvironmentStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(store.root.parent))
    out = tmp_path / "strength.json"
    command = ["pool", "strength", str(graded_pool.path), "--mutants", "3", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out.splitlines()[-1])
    assert json.loads(out.read_text()) == result
    assert [task["task"] for task in result["tasks"]] == ["tiny-longest", "tiny-total"]
    assert result["total"]["rewritten"] == {"tried": 3, "rejected": 0}
    assert "grade attempts" in said.err
    assert main([*command, "--task", "tiny-longest"]) == 0
    shown = capsys.readouterr().out
    assert "survivor of tiny-longest: mutant, drop_argument, tiny/words.py:longest" in shown
    assert "+    return max(words)" in shown
    assert "equivalent mutant" in shown
    assert str(out) in shown


def test_the_command_fails_where_a_right_solution_does(
    with_tests: Callable[..., Task],
    graded_pool: Pool,
    store: EnvironmentStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(store.root.parent))
    pool = graded_pool.copy(tmp_path / "pool")
    pool.write_tasks([with_tests(("total([1, 2, 3]) == 6", "total([1, 2, 3]) == 6 and total.__code__.co_nlocals"))])
    assert main(["pool", "strength", str(pool.path), "--mutants", "1"]) == 0
    pool.write_tasks([with_tests(("([1, 2, 3]) == 6", "([1, 2, 3]) == 6 and 'result' in total.__code__.co_varnames"))])
    assert main(["pool", "strength", str(pool.path), "--mutants", "1"]) == 1
