"""Whole runs that keep their episodes: a folder for each stage, files that replay, on the command line as well."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_env.atif import Trajectory
from agent_env.trajectory import read_trajectory
from repodojo.cli import main
from rl_trainer.config import CalibrationConfig, GRPOConfig, SFTConfig, TrainConfig
from rl_trainer.model import LanguageModel
from rl_trainer.task_set import open_task_set
from rl_trainer.train import Training
from tasks.pool import Pool
from tests.rl_trainer.caller import CONTEXT

Config = Callable[..., TrainConfig]


@pytest.fixture
def model(caller: LanguageModel, tmp_path: Path) -> str:
    caller.save(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def config(model: str, bare_pool: Pool, tmp_path: Path) -> Config:
    def make(*, steps: int, **changes: Any) -> TrainConfig:
        settings: dict[str, Any] = {
            "pool": bare_pool.path,
            "out": tmp_path / "run",
            "model": model,
            "split": "all",
            "context": CONTEXT,
            "turn_tokens": 64,
            "observation_tokens": 128,
            "max_turns": 3,
            "trajectories": True,
            "concurrency": 4,
            "sft": SFTConfig(tasks=0),
            "calibration": CalibrationConfig(episodes=1),
            "grpo": GRPOConfig(steps=steps, tasks_per_step=1, group_size=2, kl_weight=0.1),
        }
        return TrainConfig(**(settings | changes))

    return make


def run(config: TrainConfig) -> None:
    report = Training(open_task_set(config), config).run()
    assert report.trajectories == (config.out / "trajectories" if config.trajectories else None)


def kept(config: TrainConfig) -> dict[str, list[Trajectory]]:
    folders = (config.out / "trajectories").iterdir()
    return {folder.name: [read_trajectory(path) for path in sorted(folder.iterdir())] for folder in sorted(folders)}


def versions(trajectories: list[Trajectory]) -> set[int]:
    measured = [step.metrics for one in trajectories for step in one.steps if step.source == "agent"]
    return {metrics.extra["policy_version"] for metrics in measured if metrics and metrics.extra}


def test_each_stage_has_a_folder_and_each_sample_its_version(config: Config) -> None:
    settings = config(steps=2)
    run(settings)
    found = kept(settings)
    assert {name: len(files) for name, files in found.items()} == {"calibration": 2, "step-000001": 2, "step-000002": 2}
    assert [versions(files) for files in found.values()] == [{0}, {0}, {1}]
    assert all(one.agent.name == settings.model for files in found.values() for one in files)
    assert all("outcome" in (one.extra or {}) for files in found.values() for one in files)


def test_twins_are_kept_apart(config: Config, bare_pool: Pool, tmp_path: Path) -> None:
    pool = bare_pool.copy(tmp_path / "pool")
    original = pool.task("tiny-total")
    certificate = original.certificate.model_copy(update={"contradicted": "t::a"})
    twin = original.model_copy(update={"id": "tiny-total-twin", "twin_of": original.id, "certificate": certificate})
    pool.write_tasks([*pool.tasks(), twin])
    settings = config(steps=1, pool=pool.path)
    run(settings)
    found = kept(settings)
    assert list(found) == ["calibration", "step-000001", "twins-000000", "twins-000001"]
    for name, files in found.items():
        of_twin = {(one.extra or {})["task_id"] == twin.id for one in files}
        assert of_twin == {name.startswith("twins")}


def test_a_stage_that_was_cut_short_begins_anew_and_others_stay(config: Config) -> None:
    run(config(steps=1))
    folder = config(steps=1).out / "trajectories"
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    cut = folder / "step-000002" / "tiny-total-cut.json"
    cut.parent.mkdir()
    cut.write_text("{}")
    run(config(steps=2))
    assert not cut.exists()
    assert len(kept(config(steps=2))["step-000002"]) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_keeps_none_unless_it_is_told_which_may_change(config: Config) -> None:
    run(config(steps=1, trajectories=False))
    assert not (config(steps=1).out / "trajectories").exists()
    run(config(steps=2))
    assert list(kept(config(steps=2))) == ["step-000002"]


def test_on_the_command_line(
    model: str, config: Config, bare_pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(steps=1).model_dump(mode="json", include={"pool", "out", "model", "split", "context"})
    toml = tmp_path / "run.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    more = ["trajectories = true", "max_turns = 3", "[sft]", "tasks = 0", "[calibration]", "episodes = 0"]
    grpo = ["[grpo]", "steps = 1", "tasks_per_step = 1", "group_size = 2", "kl_weight = 0.1"]
    toml.write_text("\n".join([*lines, *more, *grpo]))
    pool, rolled = str(bare_pool.path), tmp_path / "rolled"
    assert main(["train", str(toml)]) == 0
    assert "trajectories are in" in capsys.readouterr().out
    assert main(["rollout", pool, "--policy", model, "--episodes", "1", "--trajectories", str(rolled)]) == 0
    [trained, _] = (tmp_path / "run" / "trajectories" / "step-000001").iterdir()
    [evaluated] = rolled.iterdir()
    for path in (trained, evaluated):
        assert versions([read_trajectory(path)]) == {0}
        assert main(["replay", str(path), "--pool", pool]) == 0
        for form in ("swe-agent", "mini-swe-agent"):
            assert main(["convert", str(path), "--to", form]) == 0
