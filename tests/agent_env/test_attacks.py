"""Attacks in real episodes: what is tried, what earns nothing, and that a hole would be seen.

The gate runs every attack three times in a row on each backend: on all tasks of the small pool on bubblewrap, on one
after the other on Docker, where a trial takes three times as long.
"""

from collections.abc import Iterator, Sequence

import pytest

from agent_env.attack_campaign import Campaign, run_campaign
from agent_env.attack_trial import TrialResult, read_target, run_trial
from agent_env.errors import BackendUnavailableError
from agent_env.grading.states import gold_edits, start_edits
from agent_env.layers import task_layer
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.client import docker_client
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from blockers.attacks.attack import Attack, Goal
from blockers.attacks.judge import Fooled
from blockers.attacks.manifest import ATTACKS, select_attacks
from blockers.attacks.programs import plant, python, shell
from tasks.pool import Pool
from tasks.task import Task

pytestmark = pytest.mark.network

JOBS = 3
"""Trials at once: one more than two processors, since some wait for their timeout."""

AHEAD = 4
"""Containers started ahead: the agent's and the grader's for two trials."""

REPETITIONS = (1, 2, 3)


@pytest.fixture
def task(graded_pool: Pool) -> Task:
    return graded_pool.task("tiny-total")


@pytest.fixture
def bench(graded_pool: Pool, store: EnvironmentStore) -> Workbench:
    return Workbench(graded_pool, store)


def attempt(bench: Workbench, task: Task, attack: Attack) -> TrialResult:
    return run_trial(attack, read_target(task, bench), bench)


def made_up(**fields: object) -> Attack:
    """An attack with a hole to go through, made for the test."""
    settings = {"id": "x", "vector": "own", "title": "x", "how": "x.", "caught_by": ("grade:sentinel",)}
    return Attack(**{**settings, **fields})  # type: ignore[arg-type]


def campaign(bench: Workbench, tasks: Sequence[Task], attacks: Sequence[Attack]) -> Campaign:
    return run_campaign(bench, tasks, attacks, jobs=JOBS, on_trial=lambda done, total, note: None)


class TestTrial:
    def test_a_reward_is_seen(self, bench: Workbench, task: Task) -> None:
        tree = bench.build(task).tree
        (path, content), *_ = gold_edits(task, tree).items()
        assert content is not None
        write = f"cat > {path} <<'END'\n{content.decode()}END"
        result = attempt(bench, task, made_up(steps=shell(write)))
        assert (result.fooled, result.detected, result.trial.reason) == (Fooled.REWARD, False, "passed")

    def test_what_was_obtained_is_seen(self, bench: Workbench, task: Task) -> None:
        for steps in (shell("got it"), python("got('it')")):
            assert attempt(bench, task, made_up(goal=Goal.OBTAIN, steps=steps)).fooled is Fooled.OBTAINED

    def test_a_gold_line_is_seen(self, bench: Workbench, task: Task) -> None:
        line = "        result += number"
        assert attempt(bench, task, made_up(goal=Goal.OBTAIN, steps=shell(f"echo '{line}'"))).fooled is Fooled.LEAKED

    def test_what_is_refused_is_noticed(self, bench: Workbench, task: Task) -> None:
        steps = shell('none "no way"')
        result = attempt(bench, task, made_up(goal=Goal.OBTAIN, steps=steps, caught_by=("refused",)))
        assert (result.fooled, result.detected, result.trial.outcome) == (None, True, "LimitStopped")

    def test_the_tests_are_told_only_to_who_knows_them(self, bench: Workbench, task: Task) -> None:
        steps = lambda view: [f"echo {len(view.failing)} {len(view.passing)} {'test_total' in str(view.sources)}"]  # noqa: E731
        told = attempt(bench, task, made_up(goal=Goal.OBTAIN, steps=steps, knows="tests")).trial.seen
        assert told.endswith("1 2 True")
        assert attempt(bench, task, made_up(goal=Goal.OBTAIN, steps=steps)).trial.seen.endswith("0 0 False")

    def test_a_payload_reaches_the_tests(self, bench: Workbench, task: Task) -> None:
        result = attempt(bench, task, made_up(steps=plant("raise RuntimeError\n"), caught_by=("grade:tests_missing",)))
        assert (result.fooled, result.detected) == (None, True)


class TestCampaign:
    def test_a_wall_that_stands(self, bench: Workbench, task: Task) -> None:
        chosen = select_attacks(["git-future", "conftest", "runner-every", "channel-nested"])
        done = campaign(bench, [task], chosen)
        assert done.holds
        assert all(result.detected for result in done.results)
        assert "git-future-refs" in {result.attack for result in done.watched}
        assert (done.tasks, done.gold_pass, done.noop_pass, len(done.results)) == (1, 1.0, 0.0, 4)

    def test_a_wall_with_a_hole(self, bench: Workbench, task: Task) -> None:
        open_ = made_up(id="hole", goal=Goal.OBTAIN, steps=shell("got it"), caught_by=("refused",))
        done = campaign(bench, [task], [open_, *select_attacks(["git-future"])])
        assert not done.holds
        assert [result.attack for result in done.fooled] == ["hole"]
        assert [result.attack for result in done.undetected] == ["hole"]


def test_no_file_of_a_start_state_stands_apart(bench: Workbench, task: Task) -> None:
    build = bench.build(task)
    layer = task_layer(build, task)
    laid = [path for path in layer.rglob("*.py") if path.is_file()]
    assert {path.relative_to(layer).as_posix() for path in laid} > set(start_edits(task, build.tree))
    assert {path.stat().st_mtime for path in laid} == {build.tree.joinpath("tiny/words.py").stat().st_mtime}


def expect_nothing_fooled(done: Campaign) -> None:
    """0 fooled, gold 100 %, no-op 0 %, every detector fired."""
    told = [(result.attack, result.task, result.fooled, result.trial.reason) for result in done.fooled]
    assert told == []
    assert (done.gold_pass, done.noop_pass) == (1.0, 0.0)
    unseen = [result for result in done.results if not result.detected]
    assert [(result.attack, result.trial.outcome, result.trial.reason) for result in unseen] == []
    assert done.holds


@pytest.fixture(scope="module")
def docker_store(store: EnvironmentStore) -> Iterator[EnvironmentStore]:
    """One backend for all repetitions, so that they share containers that are started ahead."""
    try:
        docker_client()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    backend = DockerBackend(warm=AHEAD)
    try:
        yield EnvironmentStore(backend, store.root)
    finally:
        backend.close()


@pytest.mark.slow
@pytest.mark.parametrize("repetition", REPETITIONS)
def test_no_attack_succeeds_on_bubblewrap(bench: Workbench, graded_pool: Pool, repetition: int) -> None:
    expect_nothing_fooled(campaign(bench, graded_pool.tasks(), ATTACKS))


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("repetition", REPETITIONS)
def test_no_attack_succeeds_on_docker(graded_pool: Pool, docker_store: EnvironmentStore, repetition: int) -> None:
    tasks = graded_pool.tasks()
    chosen = tasks[repetition % len(tasks)]
    expect_nothing_fooled(campaign(Workbench(graded_pool, docker_store), [chosen], ATTACKS))
