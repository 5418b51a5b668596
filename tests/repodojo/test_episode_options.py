"""Options of an episode on the command line: the form of tool calls, packages, and the tripwires of a replay."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_env.atif import Trajectory
from agent_env.env import SWEEnv
from agent_env.replay import replay
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.store import EnvironmentStore
from agent_env.trajectory import read_trajectory
from agent_env.workbench import Workbench
from repodojo.cli import main
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.turns import bash

LEAVE = ":quit\n"


def recorded(folder: Path) -> Trajectory:
    return read_trajectory(next(folder.glob("tiny-*.json")))


@pytest.mark.parametrize("name", ["hermes", "mistral", "bash"])
def test_rollout_in_another_form(bare_pool: Pool, tmp_path: Path, name: str) -> None:
    main(["rollout", str(bare_pool.path), "--policy", "noop", "--call-format", name, "--trajectories", str(tmp_path)])
    found = recorded(tmp_path)
    assert found.extra
    assert (found.extra["rules"]["call_format"], found.extra["outcome"]) == (name, "Scored")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "bash"])
def test_the_oracle_solves_in_another_form(graded_pool: Pool, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["rollout", str(graded_pool.path), "--call-format", name]) == 0
    assert "mean reward 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["rollout", "serve"])
@pytest.mark.parametrize("given", [("--call-format", "yaml"), ("--packages", "all")])
def test_what_there_is_not(
    bare_pool: Pool, capsys: pytest.CaptureFixture[str], command: str, given: tuple[str, str]
) -> None:
    assert main([command, str(bare_pool.path), *given]) == 2
    said = capsys.readouterr().err
    assert given[1] in said
    assert "Traceback" not in said


def test_rollout_with_packages(bare_pool: Pool, tmp_path: Path) -> None:
    options = ["--packages", "frozen", "--trajectories", str(tmp_path)]
    main(["rollout", str(bare_pool.path), "--policy", "noop", *options])
    found = recorded(tmp_path)
    assert found.extra
    assert found.extra["rules"]["packages"] == "frozen"
    assert "`pip install NAME` works here" in found.steps[0].message


@pytest.mark.parametrize(("options", "says"), [([], "No such file"), (["--packages", "frozen"], "index.json")])
def test_play_with_packages(
    bare_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"ls ~/.package-index.json\n{LEAVE}"))
    assert main(["play", str(bare_pool.path), *options]) == 0
    assert says in capsys.readouterr().out


class TestReplayWithTripwires:
    @pytest.fixture
    def trajectory(self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> Trajectory:
        with SWEEnv(pool=bare_pool, store=store, tripwires=True, trajectories=tmp_path) as env:
            env.reset(options={"task_id": "tiny-total"})
            env.step(bash("git log --all --oneline; cat /opt/solutions/*.patch; cat /opt/mirror/mirror.conf"))
        return recorded(tmp_path)

    def test_they_are_laid_again(self, bare_pool: Pool, store: EnvironmentStore, trajectory: Trajectory) -> None:
        report = replay(trajectory, Workbench(bare_pool, store))
        assert (report.difference, report.steps) == (None, 1)

    def test_so_they_are_elsewhere(self, bare_pool: Pool, tmp_path: Path, trajectory: Trajectory) -> None:
        elsewhere = EnvironmentStore(BubblewrapBackend(), tmp_path / "builds")
        assert replay(trajectory, Workbench(bare_pool, elsewhere)).difference is None

    def test_an_episode_without_them_is_replayed_without(
        self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
    ) -> None:
        with SWEEnv(pool=bare_pool, store=store, trajectories=tmp_path) as env:
            env.reset(options={"task_id": "tiny-total"})
            env.step(bash("ls /opt/solutions"))
        assert replay(recorded(tmp_path), Workbench(bare_pool, store, tripwires=True)).difference is None

    @pytest.mark.parametrize("given", [{"commit": "0" * 16}, ["a"], {"commit": "../x", "patch": "", "host": 5}])
    def test_what_is_none(self, bare_pool: Pool, store: EnvironmentStore, trajectory: Trajectory, given: Any) -> None:
        damaged = trajectory.model_copy(update={"extra": {**(trajectory.extra or {}), "tripwires": given}})
        with pytest.raises(BadInputError, match=r"extra\.tripwires"):
            replay(damaged, Workbench(bare_pool, store))
