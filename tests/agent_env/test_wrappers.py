"""The wrappers: each passes Gymnasium's checker, does what it says, and leaves the verified reward to be seen."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.outcome import LimitStopped
from agent_env.sandbox.processes import descendants
from agent_env.scripted import noop_actions
from agent_env.spaces import TextSpace
from agent_env.store import EnvironmentStore
from agent_env.vector import SWEVectorEnv
from agent_env.wrappers import HistoryWindow, RewardShaping, Transition, WallClockLimit
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.turns import bash
from tests.conformance.commands import await_end


def costly(step: Transition) -> float:
    return step.reward - 0.5


@pytest.fixture
def options(bare_pool: Pool, store: EnvironmentStore) -> dict[str, Any]:
    return {"pool": bare_pool, "store": store}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: WallClockLimit(env, 600),
        lambda env: HistoryWindow(env, turns=2, chars=500),
        lambda env: RewardShaping(env, costly),
        lambda env: HistoryWindow(WallClockLimit(RewardShaping(env, costly), 600)),
    ],
)
def test_gymnasiums_checker(options: dict[str, Any], wrap: Callable[[Any], gymnasium.Env[str, str]]) -> None:
    env = wrap(gymnasium.make("RepoDojo/SWE-v0", render_mode="ansi", **options))
    with warnings.catch_warnings():
        # That it is wrapped is what it warns of, and what is meant.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(env)
    env.close()


def test_another_environment_is_refused() -> None:
    class Other(gymnasium.Env[str, str]):
        observation_space = action_space = TextSpace()

    with pytest.raises(BadInputError, match="expected a RepoDojo/SWE-v0 environment, bare or wrapped; got Other"):
        WallClockLimit(Other(), 1)


class TestGymnasiumsTimeLimit:
    def test_it_truncates_and_a_close_leaves_nothing(self, options: dict[str, Any]) -> None:
        env = gymnasium.make("RepoDojo/SWE-v0", max_episode_steps=2, **options)
        env.reset(seed=0)
        assert env.step(bash("sleep 300 & true"))[1:4] == (0.0, False, False)
        observation, reward, terminated, truncated, info = env.step(bash("echo two"))
        assert (observation, reward, terminated, truncated) == ("two", 0.0, False, True)
        assert (info["step"], info["outcome"]) == (2, None)  # ours goes on until it is closed
        inner = env.unwrapped
        assert isinstance(inner, SWEEnv)
        assert inner.episode is not None
        pids = descendants(inner.episode._sandbox._tree.first.pid)  # type: ignore[union-attr]
        assert any(b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
        env.close()
        assert await_end(pids) == set()
        assert inner.episode.outcome == LimitStopped("abandoned")

    def test_the_next_episode_has_all_its_steps(self, options: dict[str, Any]) -> None:
        with TimeLimit(SWEEnv(**options), 2) as env:
            for _ in range(2):
                env.reset(seed=0)
                assert [env.step(bash("echo x >> new; cat new"))[::3] for _ in range(2)] == [
                    ("x", False),
                    ("x\nx", True),
                ]

    def test_in_a_vector_the_others_go_on(self, options: dict[str, Any]) -> None:
        envs = SWEVectorEnv(2, wrap=lambda env: TimeLimit(env, 2), **options)
        envs.reset(seed=1)
        envs.step((bash("cd tiny"), None))
        observations, _, terminated, truncated, _ = envs.step((bash("pwd"), bash("cd tiny")))
        assert (terminated.tolist(), truncated.tolist()) == ([False, False], [True, False])
        ended = envs._bare[0].episode
        with pytest.raises(EpisodeError, match=r"sub-environments \[0\] have ended"):
            envs.step((bash("pwd"), bash("pwd")))
        envs.reset(options={"reset_mask": truncated})
        assert ended is not None
        assert (ended.outcome, ended._sandbox) == (LimitStopped("abandoned"), None)
        observations, _, _, truncated, _ = envs.step((bash("pwd"), bash("pwd")))
        assert (observations, truncated.tolist()) == (("/testbed", "/testbed/tiny"), [False, True])
        envs.close()


class TestWallClockLimit:
    def test_it_kills_what_runs_and_runs_nothing_after(self, options: dict[str, Any]) -> None:
        with WallClockLimit(SWEEnv(**options), 0.4) as env:
            env.reset()
            observation, reward, terminated, truncated, info = env.step(bash("sleep 60"))
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["detail"]) == ("LimitStopped", "time")
            assert "timed out" in observation
            env.reset()
            assert env.step(bash("echo hi"))[0] == "hi"

    def test_thinking_counts(self, options: dict[str, Any]) -> None:
        with WallClockLimit(SWEEnv(**options), 1e-9) as env:
            env.reset()
            observation, *_, truncated, info = env.step(bash("echo never"))
            assert truncated
            assert "never" not in observation
            assert info["detail"] == "time"

    @pytest.mark.parametrize("seconds", [0, -1, "x", float("nan")])
    def test_bad_arguments(self, options: dict[str, Any], seconds: Any) -> None:
        with pytest.raises(BadInputError, match="expected a number above 0"):
            WallClockLimit(SWEEnv(**options), seconds)


class TestHistoryWindow:
    def test_all(self, options: dict[str, Any]) -> None:
        with HistoryWindow(SWEEnv(render_mode="ansi", **options)) as env:
            prompt, _ = env.reset(seed=0)
            env.step(bash("echo one"))
            observation = env.step(bash("echo two"))[0]
            assert f"[user]\n{observation}" == env.render()
            assert env.reset(seed=0)[0] == prompt

    def test_the_last_turns(self, options: dict[str, Any]) -> None:
        with HistoryWindow(SWEEnv(**options), turns=1) as env:
            prompt, _ = env.reset(seed=0)
            for number in range(3):
                observation = env.step(bash(f"echo {number}"))[0]
            last = f"[agent]\n{bash('echo 2')}\n\n[tool]\n2"
            assert observation == f"{prompt}\n\n[... 2 earlier turns are left out ...]\n\n{last}"

    def test_the_last_characters(self, options: dict[str, Any]) -> None:
        with HistoryWindow(SWEEnv(**options), chars=5) as env:
            prompt, _ = env.reset(seed=0)
            action = bash("echo abcdefgh")
            cut = len(f"[agent]\n{action}\n\n[tool]\nabcdefgh") - 5
            assert env.step(action)[0] == f"{prompt}\n\n[... {cut} characters are left out ...]\n\ndefgh"

    @pytest.mark.parametrize("given", [{"turns": 0}, {"chars": -1}, {"turns": 1.5}])
    def test_bad_arguments(self, options: dict[str, Any], given: Any) -> None:
        with pytest.raises(BadInputError, match="expected a whole number above 0, or None"):
            HistoryWindow(SWEEnv(**options), **given)


class TestRewardShaping:
    def test_each_step_and_the_true_reward(self, options: dict[str, Any]) -> None:
        with RewardShaping(SWEEnv(max_steps=2, **options), costly) as env:
            env.reset()
            for _ in range(2):
                _, reward, _, truncated, info = env.step(bash("true"))
                assert (reward, info["reward"]) == (-0.5, 0.0)
            assert truncated

    def test_what_the_machine_broke_is_not_shaped(self, options: dict[str, Any]) -> None:
        with RewardShaping(SWEEnv(**options), costly) as env:
            env.reset()
            bare = env.unwrapped
            assert isinstance(bare, SWEEnv)
            assert bare.episode is not None
            assert bare.episode._sandbox is not None
            bare.episode._sandbox.close()
            _, reward, _, _, info = env.step(bash("true"))
            assert (reward, info["reward"], info["masked"]) == (0.0, 0.0, True)

    def test_what_gives_no_number(self, options: dict[str, Any]) -> None:
        with RewardShaping(SWEEnv(**options), lambda step: float("nan")) as env:
            env.reset()
            with pytest.raises(BadInputError, match="the shaped reward is nan"):
                env.step(bash("true"))
        with pytest.raises(BadInputError, match="expected a function"):
            RewardShaping(SWEEnv(**options), 0.5)  # type: ignore[arg-type]

    @pytest.mark.network
    def test_a_share_of_the_tests(self, graded_pool: Pool, store: EnvironmentStore) -> None:
        with RewardShaping(
            SWEEnv(pool=graded_pool, store=store), lambda step: 0.5 * (step.reward + float(step.info["passed_share"]))
        ) as env:
            env.reset(options={"task_id": "tiny-total"})
            _, reward, terminated, _, info = env.step(noop_actions(graded_pool.task("tiny-total"))[0])
            assert terminated
            assert (reward, info["reward"]) == (pytest.approx(1 / 6), 0.0)
