"""The Gymnasium environment: its contract, by Gymnasium's own checker, and each kind of bad input."""

import copy
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import agent_env
from agent_env.atif import Metrics
from agent_env.env import SWEEnv
from agent_env.episode import Episode, Turn
from agent_env.errors import BackendUnavailableError, EnvironmentBuildError, EpisodeError, SandboxError
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.spaces import TextSpace
from agent_env.store import EnvironmentStore
from agent_env.trajectory import read_trajectory
from tasks.errors import BadInputError, PoolError
from tasks.pool import Pool
from tasks.tree import pack_tree
from tests.agent_env.turns import bash

assert agent_env  # its import makes the environment known


RUNNING = {"outcome": None, "masked": False, "detail": "", "passed_share": 0.0, "events": ()}


@pytest.fixture
def options(bare_pool: Pool, store: EnvironmentStore) -> dict[str, Any]:
    return {"pool": bare_pool, "store": store}


def test_gymnasiums_checker(options: dict[str, Any]) -> None:
    env = gymnasium.make("RepoDojo/SWE-v0", render_mode="ansi", **options).unwrapped
    check_env(env)
    env.close()


class TestReset:
    def test_the_seed_picks_the_task(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            first = [env.reset(seed=5), env.reset(), env.reset()]
            assert first == [env.reset(seed=5), env.reset(), env.reset()]
            assert {env.reset(seed=seed)[1]["task_id"] for seed in range(12)} == {"tiny-total", "tiny-longest"}

    def test_a_task_by_its_id(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            observation, info = env.reset(options={"task_id": "tiny-longest"})
            assert "longest" in observation
            assert info == {"task_id": "tiny-longest", "step": 0, **RUNNING}

    @pytest.mark.parametrize(
        ("given", "says"),
        [({"task_id": "tiny-9"}, "no task 'tiny-9' among the 2"), ({"task": "x"}, "unknown reset options")],
    )
    def test_bad_options(self, options: dict[str, Any], given: dict[str, Any], says: str) -> None:
        with SWEEnv(**options) as env:
            with pytest.raises(BadInputError, match=says):
                env.reset(options=given)
            assert env.reset()[1]["step"] == 0

    def test_a_new_episode_starts_clean_and_ends_the_old_one(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            env.reset(options={"task_id": "tiny-total"})
            env.step(bash("echo x > new.py; echo y > /tmp/new"))
            old = env.episode
            env.reset(options={"task_id": "tiny-total"})
            assert old is not None
            assert old.outcome is not None
            assert env.step(bash("git status --short; ls /tmp"))[0] == "[no output]"

    def test_a_machine_that_fails(self, options: dict[str, Any], store: EnvironmentStore) -> None:
        class Broken(BubblewrapBackend):
            def create(self, spec: SandboxSpec) -> "Sandbox":  # type: ignore[override]
                raise SandboxError("the disk is on fire")

        env = SWEEnv(pool=options["pool"], store=EnvironmentStore(Broken(), store.root))
        with pytest.raises(SandboxError, match="on fire"):
            env.reset()
        with pytest.raises(EpisodeError, match="has ended"):
            env.step("x")

    def test_an_episode_before_that_cannot_be_closed(
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SWEEnv(**options) as env:
            env.reset(options={"task_id": "tiny-total"})
            assert env.episode is not None
            sandbox = env.episode._sandbox
            assert sandbox is not None
            close = sandbox.close

            def fails() -> None:
                close()
                raise SandboxError("the disk is on fire")

            monkeypatch.setattr(sandbox, "close", fails)
            with pytest.raises(SandboxError, match="on fire"):
                env.reset(options={"task_id": "tiny-longest"})
            info = env.info()
            assert (info["task_id"], info["step"], info["outcome"]) == ("tiny-longest", 0, "InfraFailed")
            assert "the episode before could not be closed: SandboxError: the disk is on fire" in info["detail"]
            with pytest.raises(EpisodeError, match="has ended"):
                env.step(bash("true"))
            assert env.reset(options={"task_id": "tiny-longest"})[1]["outcome"] is None


class TestStep:
    def test_a_turn(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            env.reset(options={"task_id": "tiny-total"})
            observation, reward, terminated, truncated, info = env.step(bash("echo hi"))
            assert (observation, reward, terminated, truncated) == ("hi", 0.0, False, False)
            assert info == {"task_id": "tiny-total", "step": 1, **RUNNING}

    def test_garbage_is_an_observation(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            env.reset()
            observation, _, terminated, truncated, _ = env.step("¿?")
            assert observation.startswith("Error: the turn holds no tool call")
            assert not terminated
            assert not truncated

    def test_the_step_limit_truncates(self, options: dict[str, Any]) -> None:
        with SWEEnv(max_steps=1, **options) as env:
            env.reset()
            _, reward, terminated, truncated, info = env.step(bash("true"))
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["detail"], info["masked"]) == ("LimitStopped", "steps", False)
            with pytest.raises(EpisodeError, match="has ended"):
                env.step(bash("true"))
            env.reset()
            assert env.step(bash("true"))[3]

    def test_a_machine_that_fails_is_masked(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            env.reset()
            assert env.episode is not None
            assert env.episode._sandbox is not None
            env.episode._sandbox.close()
            observation, reward, terminated, truncated, info = env.step(bash("true"))
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["masked"]) == ("InfraFailed", True)
            assert observation == "[the sandbox failed]"

    def test_two_at_once(self, options: dict[str, Any]) -> None:
        with SWEEnv(**options) as env:
            env.reset()
            assert env.episode is not None
            begun, execute = threading.Event(), env.episode.toolbox.execute
            env.episode.toolbox.execute = lambda *given: (begun.set(), execute(*given))[1]  # type: ignore[method-assign, func-returns-value]
            slow = threading.Thread(target=env.step, args=(bash("sleep 0.4"),))
            slow.start()
            begun.wait(30)
            with pytest.raises(EpisodeError, match="one turn at a time"):
                env.step(bash("true"))
            slow.join()
            assert env.step(bash("echo fine"))[0] == "fine"

    def test_a_reset_by_another_thread_does_not_mix_two_episodes(
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, is_reset, turn = threading.Event(), threading.Event(), Episode.turn

        def late(episode: Episode, action: str) -> Turn:
            begun.set()
            taken = turn(episode, action)
            assert is_reset.wait(30)
            return taken

        with SWEEnv(**options) as env, ThreadPoolExecutor() as threads:
            env.reset(options={"task_id": "tiny-total"})
            monkeypatch.setattr(Episode, "turn", late)
            stepped = threads.submit(env.step, bash("sleep 60"))
            begun.wait(30)
            assert env.reset(options={"task_id": "tiny-longest"})[1]["task_id"] == "tiny-longest"
            is_reset.set()
            *_, truncated, info = stepped.result(30)
        assert truncated
        assert (info["task_id"], info["detail"]) == ("tiny-total", "abandoned")

    def test_a_full_context_ends_it_and_keeps_what_was_not_played(
        self, options: dict[str, Any], tmp_path: Path
    ) -> None:
        with SWEEnv(trajectories=tmp_path, **options) as env:
            env.context_full()
            env.reset(options={"task_id": "tiny-total"})
            env.step(bash("echo a > new.txt"))
            env.context_full(bash("rm new.txt"))
            env.measure(Metrics(completion_tokens=9))
            assert (env.info()["outcome"], env.info()["detail"], env.info()["step"]) == ("LimitStopped", "context", 1)
            assert env.episode
            assert env.episode.transcript[-1] == ("agent", bash("rm new.txt"))
            env.context_full("again")
        [path] = tmp_path.glob("*.json")
        found = read_trajectory(path)
        last = found.steps[-1]
        assert [step.source for step in found.steps] == ["user", "agent", "agent"]
        assert (last.message, last.tool_calls, last.observation) == (bash("rm new.txt"), None, None)
        assert last.metrics == Metrics(completion_tokens=9)
        assert (found.extra or {})["detail"] == "context"

    def test_before_the_first_reset(self, options: dict[str, Any]) -> None:
        with pytest.raises(EpisodeError, match="call reset"):
            SWEEnv(**options).step("x")
        with pytest.raises(EpisodeError, match="call reset"):
            SWEEnv(**options).measure(Metrics())

    def test_the_transcript(self, options: dict[str, Any]) -> None:
        with SWEEnv(render_mode="ansi", **options) as env:
            assert env.render() is None
            prompt, _ = env.reset()
            env.step("I look.\n" + bash("echo hi"))
            assert env.render() == f"[user]\n{prompt}\n\n[agent]\nI look.\n{bash('echo hi')}\n\n[tool]\nhi"
        with SWEEnv(**options) as env:
            env.reset()
            assert env.render() is None

    def test_trajectories(self, options: dict[str, Any], tmp_path: Path) -> None:
        with SWEEnv(trajectories=tmp_path, agent="me", max_steps=2, **options) as env:
            for _ in range(2):
                env.reset(seed=0)
                env.step(bash("true"))
                env.step("garbage")
            env.reset()
        files = sorted(tmp_path.iterdir())
        found = [read_trajectory(path) for path in files]
        assert sorted((len(one.steps), (one.extra or {})["detail"]) for one in found) == [
            (1, "abandoned"),
            (3, "steps"),
            (3, "steps"),
        ]
        assert {one.agent.name for one in found} == {"me"}


class TestArguments:
    @pytest.mark.parametrize(
        ("argument", "value", "says"),
        [
            ("split", "validation", "expected one of all, train, test"),
            ("max_steps", 0, "expected a whole number above 0"),
            ("render_mode", "human", "expected None or 'ansi'"),
            ("tasks", ["tiny-9"], "no task 'tiny-9'"),
            ("tasks", [], "holds no task"),
        ],
    )
    def test_bad_ones(self, options: dict[str, Any], argument: str, value: object, says: str) -> None:
        with pytest.raises(BadInputError, match=says):
            SWEEnv(**options, **{argument: value})  # type: ignore[arg-type]

    def test_no_such_sandbox(self, bare_pool: Pool) -> None:
        with pytest.raises((BadInputError, BackendUnavailableError), match="podman"):
            SWEEnv(pool=bare_pool, sandbox="podman")

    def test_no_such_pool(self, tmp_path: Path) -> None:
        with pytest.raises(PoolError, match="not a pool"):
            gymnasium.make("RepoDojo/SWE-v0", pool=tmp_path)

    def test_a_pool_whose_environment_is_missing(
        self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
    ) -> None:
        pool = Pool.create(tmp_path / "pool")
        pool.write_tasks(bare_pool.tasks())
        with SWEEnv(pool=pool, store=store) as env, pytest.raises(PoolError, match="is missing"):
            env.reset()

    def test_a_pool_whose_environment_is_missing_is_mended_in_place(
        self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
    ) -> None:
        pool = Pool.create(tmp_path / "pool")
        pool.write_tasks(bare_pool.tasks())
        with SWEEnv(pool=pool, store=store) as env:
            with pytest.raises(PoolError, match="is missing"):
                env.reset()
            shutil.copytree(bare_pool.path / "environments", pool.path / "environments", dirs_exist_ok=True)
            env.reset()
            assert env.step(bash("echo hi"))[0] == "hi"

    def test_a_build_of_another_kind_of_cpu_is_not_used(
        self, options: dict[str, Any], store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SWEEnv(**options) as env:
            here = env.bench.build(env.tasks[0])
            monkeypatch.setattr("platform.machine", lambda: "riscv64")
            there = env.bench.build(env.tasks[0])
            assert here.folder != there.folder
            assert (there.folder / "build.json").is_file()
            env.reset()
            assert env.step(bash("echo hi"))[0] == "hi"

    @pytest.mark.network
    def test_an_environment_with_nothing_for_this_machine(
        self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
    ) -> None:
        shutil.copytree(bare_pool.path, tmp_path / "pool")
        pool = Pool(tmp_path / "pool")
        here = pool.tasks()[0]
        environment = pool.environment(here.environment_id)
        foreign = environment.model_copy(update={"requirements": ("pywin32==306",)})  # wheels of Windows alone
        with TemporaryDirectory() as tree:
            pool.unpack_environment(environment.id, Path(tree))
            pool.add_environment(foreign, pack_tree(Path(tree)))
        elsewhere = here.model_copy(update={"id": "tiny-elsewhere", "environment_id": foreign.id})
        pool.write_tasks([*pool.tasks(), elsewhere])
        with SWEEnv(pool=pool, store=store) as env:
            with pytest.raises(EnvironmentBuildError, match=r"cannot be made on this machine .*(?s:pywin32==306)"):
                env.reset(options={"task_id": "tiny-elsewhere"})
            env.reset(options={"task_id": here.id})
            assert env.step(bash("echo hi"))[0] == "hi"
        assert not list(store.root.glob(f"{foreign.id}*"))

    def test_only_the_tasks_named(self, options: dict[str, Any]) -> None:
        with SWEEnv(tasks=["tiny-total", "tiny-total"], **options) as env:
            assert [task.id for task in env.tasks] == ["tiny-total"]


class TestTextSpace:
    def test_any_text_is_in_it(self) -> None:
        space = TextSpace(10)
        assert all(text in space for text in ("", "界😀", "\0\ud800", "x" * 10))
        assert not any(thing in space for thing in ("x" * 11, 7, None, b"x"))

    def test_equality_copies_and_samples(self) -> None:
        assert TextSpace(10) == TextSpace(10) != TextSpace(11)
        assert TextSpace(10) == copy.deepcopy(TextSpace(10)) == pickle.loads(pickle.dumps(TextSpace(10)))
        assert len({TextSpace(10), TextSpace(10)}) == 1
        assert TextSpace(seed=3).sample() == TextSpace(seed=3).sample() != TextSpace(seed=4).sample()
        assert all(TextSpace(3).sample() in TextSpace(3) for _ in range(50))
        with pytest.raises(ValueError, match="without mask"):
            TextSpace().sample(mask=1)


def test_the_module_may_be_named_with_the_id(options: dict[str, Any]) -> None:
    with gymnasium.make("agent_env:RepoDojo/SWE-v0", **options) as env:
        assert isinstance(env.unwrapped, SWEEnv)
        env.reset(seed=0)
        assert env.step(bash("echo hi"))[:4] == ("hi", 0.0, False, False)


@pytest.mark.network
def test_oracle_one_noop_zero(graded_pool: Pool, store: EnvironmentStore) -> None:
    name = "tiny-total"
    with SWEEnv(pool=graded_pool, store=store) as env:
        task = graded_pool.task(name)
        for actions, wanted in ((oracle_actions(task, env.bench.build(task).tree), 1.0), (noop_actions(task), 0.0)):
            env.reset(options={"task_id": name})
            *earlier, last = [env.step(action) for action in actions]
            assert [step[1:4] for step in earlier] == [(0.0, False, False)] * len(earlier)
            assert last[1:4] == (wanted, True, False)
            assert last[4]["outcome"] == "Scored"
            assert last[4]["passed_share"] == (1.0 if wanted else 1 / 3)  # the mean needs the total
            assert last[0] == "Submitted."


def test_the_import_is_light() -> None:
    heavy = "{'torch', 'docker', 'vllm', 'transformers', 'ray', 'jinja2', 'pyarrow'}"
    code = f"import sys, agent_env, gymnasium; gymnasium.spec('RepoDojo/SWE-v0'); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
