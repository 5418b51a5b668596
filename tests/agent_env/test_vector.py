"""Environments stepped together: Gymnasium's conventions, episodes of varying length, and one that fails alone."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import agent_env
from agent_env.episode import Episode
from agent_env.errors import EpisodeError, SandboxError
from agent_env.outcome import LimitStopped
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.vector import SWEVectorEnv
from agent_env.workbench import Workbench
from agent_env.wrappers import HistoryWindow
from tasks.errors import BadInputError, PoolError
from tasks.pool import Pool
from tasks.task import Task
from tests.agent_env.turns import bash

assert agent_env  # its import makes the environment known
HI = "[the episode ends here: limit of steps]"


def mask(*flags: int) -> np.ndarray[Any, Any]:
    return np.array(flags, dtype=np.bool_)


@pytest.fixture
def options(bare_pool: Pool, store: EnvironmentStore) -> dict[str, Any]:
    return {"pool": bare_pool, "store": store}


@pytest.fixture
def envs(options: dict[str, Any]) -> Iterator[SWEVectorEnv]:
    made = SWEVectorEnv(3, **options)
    yield made
    made.close()


class TestMaking:
    def test_by_gymnasium(self, options: dict[str, Any]) -> None:
        envs = gymnasium.make_vec("RepoDojo/SWE-v0", num_envs=2, **options)
        assert isinstance(envs, SWEVectorEnv)
        assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
        assert envs.spec is not None
        observations, infos = envs.reset(seed=1)
        assert observations in envs.observation_space
        assert envs.action_space.sample() in envs.action_space
        assert all(prompt in envs.single_observation_space for prompt in observations)
        assert infos["step"].tolist() == [0, 0]
        envs.close()
        envs.close()

    def test_by_gymnasiums_own_vector(self, options: dict[str, Any]) -> None:
        envs = gymnasium.make_vec("RepoDojo/SWE-v0", num_envs=2, vectorization_mode="sync", **options)
        envs.reset(seed=1)
        assert tuple(envs.step((bash("echo one"), bash("echo two")))[0]) == ("one", "two")
        envs.close()

    def test_pool_store_and_tasks_are_shared(self, envs: SWEVectorEnv) -> None:
        first, *others = envs._bare
        assert all(env.bench is first.bench and env.tasks is first.tasks for env in others)
        assert len({id(env.np_random) for env in envs._bare}) == 3

    @pytest.mark.parametrize(("argument", "value"), [("num_envs", 0), ("threads", 0), ("num_envs", "2")])
    def test_bad_arguments(self, options: dict[str, Any], argument: str, value: object) -> None:
        with pytest.raises(BadInputError, match=f"{argument} is {value!r}; expected a whole number"):
            SWEVectorEnv(**options, **{argument: value})  # type: ignore[arg-type]

    def test_gymnasiums_vector_wrappers(self, options: dict[str, Any]) -> None:
        envs = DictInfoToList(RecordEpisodeStatistics(SWEVectorEnv(2, max_steps=2, **options)))
        envs.reset(seed=1)
        for _ in range(2):
            *_, truncated, infos = envs.step((bash("true"), bash("true")))
        assert truncated.tolist() == [True, True]
        assert [info["episode"]["l"] for info in infos] == [2, 2]
        assert [info["detail"] for info in infos] == ["steps", "steps"]
        envs.close()


class TestReset:
    def test_the_seed_picks_the_tasks(self, envs: SWEVectorEnv) -> None:
        def tasks(seed: Any) -> list[str]:
            return list(envs.reset(seed=seed)[1]["task_id"])

        first = [tasks(7), tasks(None)]
        assert first == [tasks(7), tasks(None)]
        assert tasks([7, 8, 9]) == first[0]
        assert len({tuple(tasks(seed)) for seed in range(6)}) > 1
        with pytest.raises(BadInputError, match="2 seeds were given for 3"):
            envs.reset(seed=[1, 2])
        for wrong in ("x", -1, 1.5, np.int64(1), [1, 2, "x"]):
            with pytest.raises(BadInputError, match="expected a whole number"):
                envs.reset(seed=wrong)  # type: ignore[arg-type]

    def test_tasks_by_id(self, envs: SWEVectorEnv) -> None:
        assert set(envs.reset(options={"task_id": "tiny-total"})[1]["task_id"]) == {"tiny-total"}
        wanted = ["tiny-total", "tiny-longest", "tiny-total"]
        prompts, infos = envs.reset(options={"task_ids": wanted})
        assert list(infos["task_id"]) == wanted
        assert prompts[0] == prompts[2] != prompts[1]

    def test_only_some(self, options: dict[str, Any]) -> None:
        envs = SWEVectorEnv(3, max_steps=2, **options)
        envs.reset(seed=1)
        envs.step((bash("echo x > new"), None, bash("true")))
        observations, _, _, truncated, infos = envs.step((bash("echo hi"), bash("echo hi"), None))
        assert observations == (f"hi\n{HI}", "hi", "[no output]")
        assert truncated.tolist() == [True, False, False]
        chosen = {"reset_mask": truncated, "task_ids": ["tiny-total", None, None]}
        observations, infos = envs.reset(options=chosen)
        assert set(chosen) == {"reset_mask", "task_ids"}
        assert observations[1:] == ("hi", "[no output]")
        assert infos["task_id"].tolist() == ["tiny-total", None, None]
        assert infos["_task_id"].tolist() == [True, False, False]
        observations, *_ = envs.step((bash("ls new"), bash("echo on"), bash("echo on")))
        assert "No such file" in observations[0]
        assert observations[1:] == (f"on\n{HI}", f"on\n{HI}")
        envs.close()

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"mask": 1}, "unknown reset options"),
            ({"reset_mask": [True, False, False]}, "expected a NumPy array of 3 booleans"),
            ({"reset_mask": mask(1, 0)}, "expected a NumPy array of 3 booleans"),
            ({"reset_mask": mask(0, 0, 0)}, "one or more are True"),
            ({"task_ids": ["tiny-total"]}, "for each of 3"),
            ({"task_ids": "tiny-total"}, "for each of 3"),
            ({"task_ids": [None] * 3, "task_id": "tiny-total"}, "both task_id and task_ids"),
            ({"task_ids": 3}, "for each of 3"),
            ({"task_id": "tiny-9"}, "no task 'tiny-9' among the 2"),
            ({"task_id": ["tiny-9"]}, "among the 2"),
        ],
    )
    def test_bad_options_disturb_nothing(self, envs: SWEVectorEnv, given: dict[str, Any], says: str) -> None:
        envs.reset(seed=1)
        envs.step([bash("cd tiny")] * 3)
        with pytest.raises(BadInputError, match=says):
            envs.reset(options=given)
        assert envs.step([bash("pwd")] * 3)[0] == ("/testbed/tiny",) * 3

    def test_a_pool_whose_environment_is_missing(
        self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
    ) -> None:
        pool = Pool.create(tmp_path / "pool")
        pool.write_tasks(bare_pool.tasks())
        envs = SWEVectorEnv(2, pool=pool, store=store)
        with pytest.raises(PoolError, match="is missing") as caught:
            envs.reset()
        assert caught.value.__notes__ == ["in sub-environment 0"]
        with pytest.raises(EpisodeError, match=r"\[0, 1\] have not begun"):
            envs.step([bash("true")] * 2)
        envs.close()


class TestStep:
    def test_infos_in_gymnasiums_convention(self, envs: SWEVectorEnv) -> None:
        envs.reset(seed=1)
        _, rewards, terminated, truncated, infos = envs.step([bash("true"), None, "no call at all"])
        assert (rewards.dtype, rewards.tolist()) == (np.float64, [0, 0, 0])
        assert (terminated.dtype, terminated.any(), truncated.any()) == (np.bool_, False, False)
        assert infos["step"].tolist() == [1, 0, 1]
        assert infos["_step"].tolist() == [True, False, True]
        assert infos["masked"].dtype == np.bool_

    def test_an_ended_one_is_told_or_left_alone(self, options: dict[str, Any]) -> None:
        envs = SWEVectorEnv(2, max_steps=1, **options)
        envs.reset(seed=1)
        envs.step((bash("echo a"), None))
        with pytest.raises(EpisodeError, match=r"sub-environments \[0\] have ended: reset them"):
            envs.step((bash("echo b"), bash("echo b")))
        observations, rewards, _, truncated, infos = envs.step((None, bash("echo c")))
        assert observations == (f"a\n{HI}", f"c\n{HI}")
        assert (rewards.tolist(), truncated.tolist()) == ([0, 0], [True, True])
        assert infos["_outcome"].tolist() == [False, True]
        envs.close()

    def test_before_the_first_reset(self, envs: SWEVectorEnv) -> None:
        with pytest.raises(EpisodeError, match="have not begun"):
            envs.step([bash("true")] * 3)

    @pytest.mark.parametrize("actions", ["abc", ("x",), ("x", "y", 7)])
    def test_bad_actions(self, envs: SWEVectorEnv, actions: Any) -> None:
        envs.reset(seed=1)
        with pytest.raises(BadInputError, match="expected"):
            envs.step(actions)
        assert envs.step([bash("echo hi")] * 3)[0] == ("hi",) * 3

    def test_an_array_of_texts(self, envs: SWEVectorEnv) -> None:
        envs.reset(seed=1)
        assert envs.step(np.array([bash("echo hi")] * 3))[0] == ("hi",) * 3  # type: ignore[arg-type]

    def test_turns_run_side_by_side(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        barrier, turn = threading.Barrier(3, timeout=60), Episode.turn

        def together(episode: Episode, action: str) -> object:
            barrier.wait()  # passes only if all three are here at once
            return turn(episode, action)

        envs.reset(seed=1)
        monkeypatch.setattr(Episode, "turn", together)
        assert envs.step([bash("echo hi")] * 3)[0] == ("hi",) * 3

    def test_two_at_once(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, turn = threading.Event(), Episode.turn

        def announced(episode: Episode, action: str) -> object:
            begun.set()
            return turn(episode, action)

        envs.reset(seed=1)
        monkeypatch.setattr(Episode, "turn", announced)
        slow = threading.Thread(target=envs.step, args=((bash("sleep 0.4"), None, None),))
        slow.start()
        begun.wait(30)
        for act in (lambda: envs.step((None, None, None)), envs.reset):
            with pytest.raises(EpisodeError, match="takes one at a time"):
                act()
        slow.join()
        assert envs.step([bash("echo hi")] * 3)[0] == ("hi",) * 3

    def test_render(self, options: dict[str, Any]) -> None:
        envs = SWEVectorEnv(2, render_mode="ansi", **options)
        envs.reset(seed=1)
        envs.step((bash("echo one"), bash("echo two")))
        shown = envs.render()
        assert shown is not None
        assert [text[-3:] for text in shown] == ["one", "two"]
        envs.close()

    def test_wrapped_ones(self, options: dict[str, Any]) -> None:
        envs = SWEVectorEnv(2, wrap=lambda env: HistoryWindow(env, turns=1), **options)
        prompts, _ = envs.reset(seed=1)
        observations, *_ = envs.step((bash("echo one"), bash("echo two")))
        assert observations[0] == f"{prompts[0]}\n\n[agent]\n{bash('echo one')}\n\n[tool]\none"
        assert observations in envs.observation_space
        envs.close()


class TestFailure:
    def test_one_machine_that_fails(self, envs: SWEVectorEnv) -> None:
        envs.reset(seed=1)
        episode = envs._bare[1].episode
        assert episode is not None
        assert episode._sandbox is not None
        episode._sandbox.close()
        observations, _, terminated, truncated, infos = envs.step([bash("echo hi")] * 3)
        assert observations == ("hi", "[the sandbox failed]", "hi")
        assert (terminated.tolist(), truncated.tolist()) == ([False] * 3, [False, True, False])
        assert infos["outcome"].tolist() == [None, "InfraFailed", None]
        assert infos["masked"].tolist() == [False, True, False]

    def test_one_that_breaks_our_own_code(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        envs.reset(seed=1)
        episode = envs._bare[2].episode
        assert episode is not None

        def broken(*_: object) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr(episode.toolbox, "execute", broken)
        observations, *_, infos = envs.step([bash("echo hi")] * 3)
        assert observations[:2] == ("hi", "hi")
        assert infos["outcome"].tolist() == [None, None, "InfraFailed"]
        assert infos["detail"][2] == "KeyError: 'a bug'"

    def test_one_that_does_not_start(self, options: dict[str, Any], store: EnvironmentStore) -> None:
        class Broken(BubblewrapBackend):
            made = 0

            def create(self, spec: SandboxSpec) -> "Sandbox":  # type: ignore[override]
                self.made += 1
                if self.made == 2:
                    raise SandboxError("the disk is on fire")
                return super().create(spec)

        Workbench(options["pool"], store).build(options["pool"].tasks()[0])  # on a machine that does not fail
        envs = SWEVectorEnv(2, threads=1, pool=options["pool"], store=EnvironmentStore(Broken(), store.root))
        observations, infos = envs.reset(seed=1)
        assert observations[1] == "[the sandbox did not start]"
        assert infos["outcome"].tolist() == [None, "InfraFailed"]
        observations, _, _, truncated, infos = envs.step([bash("echo hi")] * 2)
        assert observations[0] == "hi"
        assert (truncated.tolist(), infos["masked"].tolist()) == ([False, True], [False, True])
        envs.reset(options={"reset_mask": truncated})
        assert envs.step([bash("echo hi")] * 2)[0] == ("hi", "hi")
        envs.close()

    def test_an_interrupted_reset_leaves_no_episode(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, closed, bare = threading.Event(), threading.Event(), envs._bare[0]
        pick, close = bare._pick, bare.close
        resets: list[Future[Any]] = []

        def late(options: dict[str, Any]) -> Task:
            begun.set()
            assert closed.wait(30)
            return pick(options)

        def told() -> None:
            close()
            closed.set()

        def interrupted(running: Any) -> Any:
            assert begun.wait(30)
            monkeypatch.undo()
            bare.close = told  # type: ignore[method-assign]
            resets.extend(running)
            raise KeyboardInterrupt

        monkeypatch.setattr(bare, "_pick", late)
        monkeypatch.setattr("agent_env.vector.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            envs.reset(seed=1, options={"reset_mask": mask(1, 0, 0)})
        wait(resets)
        assert bare.episode is not None
        assert (bare.episode.outcome, bare.episode._sandbox) == (LimitStopped("abandoned"), None)

    def test_close_closes_the_wrappers_too(self, options: dict[str, Any]) -> None:
        closed = []

        class Holding(gymnasium.Wrapper[str, str, str, str]):
            def close(self) -> None:
                closed.append(self)
                super().close()

        envs = SWEVectorEnv(2, wrap=Holding, **options)
        envs.reset(seed=1)
        envs.close()
        assert closed == envs.envs

    def test_close_ends_a_running_step(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, turn = threading.Event(), Episode.turn

        def announced(episode: Episode, action: str) -> object:
            begun.set()
            return turn(episode, action)

        envs.reset(seed=1)
        monkeypatch.setattr(Episode, "turn", announced)
        slow = threading.Thread(target=envs.step, args=([bash("sleep 1000")] * 3,))
        slow.start()
        begun.wait(30)
        envs.close()
        slow.join(30)
        assert not slow.is_alive()
        with pytest.raises(EpisodeError, match="is closed"):
            envs.reset()
        ended = [env.episode.outcome for env in envs._bare if env.episode]
        assert Counter(outcome.detail for outcome in ended if outcome) == {"abandoned": 3}
        assert all(env.episode and env.episode._sandbox is None for env in envs._bare)

    def test_close_ends_what_a_running_reset_begins(self, envs: SWEVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, closed, bare = threading.Event(), threading.Event(), envs._bare[0]
        pick, close, calls = bare._pick, bare.close, itertools.count(1)

        def late(options: dict[str, Any]) -> Task:
            begun.set()
            assert closed.wait(30)
            return pick(options)

        def told() -> None:
            close()
            if next(calls) == 2:  # in both of the ways that `close_extras` goes first
                closed.set()

        envs.reset(seed=1)
        monkeypatch.setattr(bare, "_pick", late)
        monkeypatch.setattr(bare, "close", told)
        slow = threading.Thread(target=envs.reset, kwargs={"options": {"reset_mask": mask(1, 0, 0)}})
        slow.start()
        begun.wait(30)
        envs.close()
        slow.join(30)
        assert not slow.is_alive()
        assert all(env.episode and env.episode._sandbox is None for env in envs._bare)
        assert (bare.info()["step"], bare.info()["detail"]) == (0, "abandoned")


@pytest.mark.network
def test_episodes_of_varying_length_are_graded(graded_pool: Pool, store: EnvironmentStore) -> None:
    envs = SWEVectorEnv(2, pool=graded_pool, store=store)
    task = graded_pool.task("tiny-total")
    scripts: list[list[str | None]] = [[*oracle_actions(task, envs._bare[0].bench.build(task).tree)]]
    scripts.append([*noop_actions(task)])
    envs.reset(options={"task_id": task.id})
    total = np.zeros(2)
    for turn in range(len(scripts[0])):
        *_, rewards, terminated, _, _ = envs.step([script[turn] if turn < len(script) else None for script in scripts])
        total += rewards
    assert (total.tolist(), terminated.tolist()) == ([1, 0], [True, True])
    envs.close()
