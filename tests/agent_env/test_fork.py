"""Forks of an episode: what they share, that they go separate ways, and what is left of them."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent_env.async_env import AsyncSWEEnv
from agent_env.atif import Metrics
from agent_env.env import SWEEnv
from agent_env.episode import Episode, LimitStopped, Rules
from agent_env.errors import BackendUnavailableError, EpisodeError, SandboxError
from agent_env.replay import replay
from agent_env.sandbox.base import Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.client import docker_client
from agent_env.sandbox.local import _live
from agent_env.sandbox.residence import residence_base
from agent_env.scripted import oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import read_trajectory
from agent_env.workbench import Workbench
from agent_env.wrappers import HistoryWindow
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.turns import bash

PREFIX = "cd tiny; export SHOWN=yes; echo shared > /tmp/note; echo a > new.txt; rm words.py"


def edit(**arguments: object) -> str:
    return format_call(ToolCall("edit", dict(arguments)))


@pytest.fixture(params=["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)])
def options(request: pytest.FixtureRequest, bare_pool: Pool, store: EnvironmentStore) -> Iterator[dict[str, Any]]:
    if request.param == "docker":
        try:
            docker_client()
        except BackendUnavailableError as error:
            pytest.skip(str(error))
        backend = DockerBackend()
        yield {"pool": bare_pool, "store": EnvironmentStore(backend, store.root)}
        backend.close()
    else:
        yield {"pool": bare_pool, "store": store}


@pytest.fixture
def env(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> Iterator[SWEEnv]:
    """On bubblewrap, with trajectories, reset."""
    with SWEEnv(pool=bare_pool, store=store, trajectories=tmp_path, max_steps=4) as made:
        made.reset(options={"task_id": "tiny-total"})
        yield made


def fork(env: SWEEnv, count: int, stack: ExitStack) -> list[SWEEnv]:
    return [stack.enter_context(twin) for twin in env.fork(count)]


def left() -> int:
    """Sandboxes and folders of this process."""
    return len(_live) + len(list(residence_base().glob(f"{os.getpid()}-*/*")))


def test_forks_share_the_prefix_and_go_separate_ways(options: dict[str, Any]) -> None:
    before = left()
    with ExitStack() as stack:
        env = stack.enter_context(SWEEnv(**options))
        env.reset(options={"task_id": "tiny-total"})
        env.step(bash(PREFIX))
        members = [env, *fork(env, 2, stack)]
        for number, member in enumerate(members):
            shown, *_, info = member.step(bash(f"pwd; echo $SHOWN; cat /tmp/note new.txt; echo {number} > new.txt"))
            assert shown == "/testbed/tiny\nyes\nshared\na"
            assert (info["step"], info["task_id"], info["outcome"]) == (2, "tiny-total", None)
        assert [member.step(bash("cat new.txt; ls"))[0].split()[0] for member in members] == ["0", "1", "2"]
        assert all(member.episode and len(member.episode.transcript) == 7 for member in members)
        members[1].close()
        assert members[2].step(bash("cat /testbed/tiny/new.txt"))[0] == "2"
        assert env.step(bash("cat new.txt"))[0] == "0"
    assert left() == before


def test_a_fork_of_a_fork_outlives_both(options: dict[str, Any]) -> None:
    before = left()
    with ExitStack() as stack:
        env = stack.enter_context(SWEEnv(**options))
        env.reset()
        env.step(bash("echo 1 > /testbed/one"))
        [middle] = fork(env, 1, stack)
        env.close()
        middle.step(bash("echo 2 > /testbed/two; cd /tmp"))
        [last] = fork(middle, 1, stack)
        middle.close()
        assert last.step(bash("pwd; cat /testbed/one /testbed/two"))[0] == "/tmp\n1\n2"
    assert left() == before


@pytest.mark.slow
def test_each_is_graded_by_its_own_work(options: dict[str, Any], graded_pool: Pool) -> None:
    with ExitStack() as stack:
        env = stack.enter_context(SWEEnv(pool=graded_pool, store=options["store"]))
        env.reset(options={"task_id": "tiny-total"})
        task = graded_pool.task("tiny-total")
        look, *rest = oracle_actions(task, env.bench.build(task).tree)
        env.step(look)
        idle, solved = fork(env, 2, stack)
        steps = [solved.step(action) for action in rest]
        assert steps[-1][1:4] == (1.0, True, False)
        assert idle.step(rest[-1])[1:4] == (0.0, True, False)
        assert [env.step(action) for action in rest][-1][1] == 1.0


def test_counters_and_limits_carry_over(env: SWEEnv) -> None:
    env.step("no call")
    with ExitStack() as stack:
        [twin] = fork(env, 1, stack)
        for _ in range(2):
            assert not twin.step("no call")[3]
        _, _, terminated, truncated, info = twin.step("no call")
        assert (terminated, truncated, info["step"], info["detail"]) == (False, True, 4, "steps")
        assert env.info()["step"] == 1


def test_the_time_used_carries_over(bare_pool: Pool, store: EnvironmentStore) -> None:
    rules = Rules(time_limit=0.6)
    with Episode(bare_pool.task("tiny-total"), Workbench(bare_pool, store), rules) as episode, ExitStack() as stack:
        episode.start()
        episode.turn(bash("sleep 0.4"))
        [twin] = [stack.enter_context(twin) for twin in episode.fork()]
        assert twin.turn(bash("sleep 0.4")).outcome == LimitStopped("time")
        assert episode.outcome is None


def test_edits_of_the_prefix_can_be_undone_in_each(env: SWEEnv) -> None:
    env.step(edit(command="create", path="new.txt", file_text="x"))
    with ExitStack() as stack:
        [twin] = fork(env, 1, stack)
        for member in (env, twin):
            assert "removed again" in member.step(edit(command="undo_edit", path="new.txt"))[0]
            assert "no edit" in member.step(edit(command="undo_edit", path="new.txt"))[0]


def test_events_go_separate_ways(env: SWEEnv) -> None:
    env.step(bash("git log --all origin/main"))
    seen = len(env.info()["events"])
    assert seen
    with ExitStack() as stack:
        [twin] = fork(env, 1, stack)
        twin.step(bash("curl https://example.org"))
        assert len(twin.info()["events"]) > seen
        assert len(env.info()["events"]) == seen


def test_trajectories(env: SWEEnv, tmp_path: Path) -> None:
    env.step(bash("echo a > /tmp/a"))
    assert env.episode
    assert env.episode.recorder
    env.episode.recorder.measure(Metrics(prompt_tokens=10, completion_tokens=5))
    with ExitStack() as stack:
        [twin] = fork(env, 1, stack)
        assert twin.episode
        assert twin.episode.recorder
        path = twin.episode.recorder.path
        assert read_trajectory(path).steps[-1].is_copied_context
        with pytest.raises(BadInputError, match="no turn"):
            twin.episode.recorder.measure(Metrics(prompt_tokens=1))
        twin.step(bash("cat /tmp/a"))
        twin.episode.recorder.measure(Metrics(prompt_tokens=20))
    written, parent = read_trajectory(path), env.episode.recorder.trajectory
    assert [step.is_copied_context for step in written.steps] == [True, True, None]
    assert written.extra
    assert written.extra["forked_from"] == parent.trajectory_id != written.trajectory_id
    assert written.final_metrics
    assert (written.final_metrics.total_prompt_tokens, written.final_metrics.total_steps) == (20, 3)
    assert [len(parent.steps), len(list(tmp_path.iterdir()))] == [2, 2]
    report = replay(written, env.bench)
    assert (report.difference, report.steps) == (None, 2)


def test_out_of_order(bare_pool: Pool, store: EnvironmentStore) -> None:
    with SWEEnv(pool=bare_pool, store=store) as env:
        with pytest.raises(EpisodeError, match=r"reset\(\) first"):
            env.fork()
        env.reset()
        for count in (0, -1, 1.0, "2", None, True):
            with pytest.raises(BadInputError, match="expected a whole number above 0"):
                env.fork(count)  # type: ignore[arg-type]
        assert env.step("no call")[4]["outcome"] is None
        env.close()
        with pytest.raises(EpisodeError, match="has ended"):
            env.fork()


class Failing(BubblewrapBackend):
    """A real backend that gives out after so many sandboxes, or does something first."""

    def __init__(self) -> None:
        self.good = 2
        self.first: Any = None

    def create(self, spec: SandboxSpec) -> Sandbox:  # type: ignore[override]
        if not self.good:
            raise SandboxError("no more room")
        self.good -= 1
        if spec.start and self.first:
            self.first()
        return super().create(spec)


def failing_env(pool: Pool, store: EnvironmentStore, backend: SandboxBackend, folder: Path) -> SWEEnv:
    Workbench(pool, store).build(pool.tasks()[0])  # on a machine that does not fail
    return SWEEnv(pool=pool, store=EnvironmentStore(backend, store.root), trajectories=folder)


def test_a_machine_that_fails_leaves_the_first_one_running(
    bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
) -> None:
    with failing_env(bare_pool, store, Failing(), tmp_path) as env:
        env.reset()
        before = left()
        with pytest.raises(SandboxError, match="no more room"):
            env.fork(3)
        assert left() == before
        assert env.step(bash("echo still"))[0] == "still"
        assert len(list(tmp_path.iterdir())) == 1


def test_an_end_meanwhile(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    backend, before = Failing(), left()
    with failing_env(bare_pool, store, backend, tmp_path) as env:
        env.reset()
        closing = threading.Thread(target=env.close)

        def close() -> None:
            closing.start()
            assert env.episode
            while not env.episode._interrupted:
                pass

        backend.first = close
        with pytest.raises(EpisodeError, match="ended while it forked"):
            env.fork()
        closing.join()
        assert env.info()["detail"] == "abandoned"
        assert left() == before
        assert len(list(tmp_path.iterdir())) == 1


def test_while_a_turn_runs(env: SWEEnv) -> None:
    running = threading.Thread(target=env.step, args=(bash("touch /tmp/on; sleep 60"),))
    assert env.episode
    running.start()
    while env.episode._turning.acquire(blocking=False):
        env.episode._turning.release()
    with pytest.raises(EpisodeError, match="still running"):
        env.fork()
    env.close()
    running.join()


async def awaited(env: SWEEnv) -> None:
    async with AsyncSWEEnv(env) as waiting:
        await waiting.step(bash("echo a > /tmp/a"))
        twins = await waiting.fork(2)
        for twin in twins:
            async with twin:
                assert (await twin.step(bash("cat /tmp/a")))[0] == "a"
        with pytest.raises(BadInputError, match="wrapped"):
            await AsyncSWEEnv(HistoryWindow(env)).fork()
        cancelled = asyncio.create_task(waiting.fork(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled


def test_awaited_and_cancelled(env: SWEEnv) -> None:
    before = left()
    asyncio.run(awaited(env))
    assert left() == before - 2
