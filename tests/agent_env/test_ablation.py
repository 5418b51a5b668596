"""The ablation of the first blocker: the same thief earns 1 where the future is left in, and 0 where it is not."""

from pathlib import Path

import pytest

from agent_env.atif import Agent
from agent_env.episode import Episode
from agent_env.outcome import Outcome
from agent_env.pool_audit import audit_pool
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from agent_env.workbench import UnblockedWarning, Workbench
from tasks.errors import PoolError
from tasks.pool import Pool

STEAL = "git checkout -q $(git log --all --topo-order --format=%H | head -1) -- ."


@pytest.fixture
def unblocked(graded_pool: Pool, tmp_path: Path) -> Pool:
    return graded_pool.copy_unblocked(tmp_path / "unblocked")


def steal(bench: Workbench) -> Outcome:
    with Episode(bench.pool.task("tiny-total"), bench) as episode:
        episode.start()
        episode.turn(format_call(ToolCall("bash", {"command": STEAL})))
        outcome = episode.turn(format_call(ToolCall("submit", {}))).outcome
    assert outcome is not None
    return outcome


def test_stealing_from_the_future_earns_only_where_the_blocker_is_off(
    graded_pool: Pool, unblocked: Pool, store: EnvironmentStore
) -> None:
    assert steal(Workbench(graded_pool, store)).reward == 0
    with pytest.warns(UnblockedWarning, match="UNBLOCKED"):
        bench = Workbench(unblocked, store)
    assert steal(bench).reward == 1
    assert steal(Workbench(graded_pool, store)).reward == 0


def test_trajectories_say_where_the_blocker_is_off(
    graded_pool: Pool, unblocked: Pool, store: EnvironmentStore, tmp_path: Path
) -> None:
    with pytest.warns(UnblockedWarning):
        benches = [Workbench(graded_pool, store), Workbench(unblocked, store)]
    marks = []
    for bench in benches:
        recorder = TrajectoryRecorder(tmp_path, Agent(name="x", version="1"), task_id="tiny-total")
        with Episode(bench.pool.task("tiny-total"), bench, recorder=recorder) as episode:
            episode.start()
        marks.append((read_trajectory(recorder.path).extra or {}).get("unblocked"))
    assert marks == [None, True]


def test_an_unblocked_pool_stays_marked_and_is_the_same_otherwise(graded_pool: Pool, unblocked: Pool) -> None:
    assert not graded_pool.unblocked
    unblocked.write_tasks(unblocked.tasks())
    assert Pool(unblocked.path).unblocked
    assert (unblocked.tasks(), unblocked.hash) == (graded_pool.tasks(), graded_pool.hash)


def test_a_pool_is_not_unblocked_in_place(graded_pool: Pool) -> None:
    with pytest.raises(PoolError, match="nothing is yet"):
        graded_pool.copy_unblocked(graded_pool.path)


@pytest.mark.slow
def test_the_audit_finds_what_an_unblocked_pool_leaves_in(unblocked: Pool, store: EnvironmentStore) -> None:
    with pytest.warns(UnblockedWarning):
        bench = Workbench(unblocked, store)
    [certificate] = audit_pool(bench, [unblocked.task("tiny-total")])
    assert {finding.partition(":")[0] for finding in certificate.findings} == {"branch", "foreign-object"}
