"""Whole runs on a small real environment: reward rises, runs resume to the same weights, nothing half-written stays."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rl_trainer.calibration import Calibration, TaskRate
from rl_trainer.checkpoint import RunState, load_latest, save_checkpoint
from rl_trainer.config import CalibrationConfig, GRPOConfig, SFTConfig, TrainConfig
from rl_trainer.curve import draw_curve
from rl_trainer.errors import ModelError, TooFewTasksError
from rl_trainer.learner import Learner
from rl_trainer.model import LanguageModel, load_model, make_model
from rl_trainer.progress import Progress
from rl_trainer.scripted import Script
from rl_trainer.task_set import TaskSet
from rl_trainer.train import Training
from tests.rl_trainer.toy_words import WORDS, WordEnv, toy_texts

TASKS = [f"say-{word}" for word in WORDS]
SCRIPTS = [Script(f"say-{word}", ["apple" if word != "apple" else "fig", word]) for word in WORDS]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preset ``tiny`` in the size of a toy."""

    def make(texts: list[str], *, seed: int, context: int) -> LanguageModel:
        return make_model(texts, seed=seed, context=context, vocabulary=320, hidden=64, layers=2)

    monkeypatch.setattr("rl_trainer.warm_model.make_model", make)


def task_set() -> TaskSet:
    return TaskSet(make_env=WordEnv, task_ids=TASKS, demonstrate=lambda count: SCRIPTS[:count], sources=toy_texts)


def config(out: Path, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "pool": Path("unused"),
        "out": out,
        "context": 64,
        "turn_tokens": 8,
        "observation_tokens": 32,
        "concurrency": 32,
        "sft": SFTConfig(tasks=4, epochs=40, learning_rate=3e-3, target_loss=1.0),
        "calibration": CalibrationConfig(episodes=4),
        "grpo": GRPOConfig(steps=14, group_size=8, learning_rate=3e-3),
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


def test_reward_rises_under_grpo(tmp_path: Path) -> None:
    told: list[Progress] = []
    report = Training(task_set(), config(tmp_path / "run"), told.append).run()
    first, last = report.mean_reward_by_step[:3], report.mean_reward_by_step[-3:]
    assert sum(last) / 3 > sum(first) / 3 + 0.25
    assert sum(last) / 3 > 0.75
    assert report.baseline is not None
    assert 0 < report.baseline < 1
    assert report.steps == len(report.mean_reward_by_step) == 14
    assert report.curve.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in report.log.read_text().splitlines()]
    steps = [line for line in lines if line["stage"] == "grpo"]
    assert [line["step"] for line in steps] == list(range(1, 15))
    assert all(line["sampler_mismatch"] < 1e-3 for line in steps)
    assert {progress.stage for progress in told} == {"demonstrate", "warm start", "calibrate", "grpo"}
    assert all(progress.done <= progress.total for progress in told)
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_twins_are_measured_at_each_checkpoint_and_never_trained_on(tmp_path: Path) -> None:
    twin, *rest = TASKS
    tasks = replace(task_set(), task_ids=rest, twin_ids=[twin])
    changes: dict[str, object] = {
        "twin_episodes": 3,
        "grpo": GRPOConfig(steps=2, group_size=4),
        "sft": SFTConfig(tasks=0),
    }
    report = Training(tasks, config(tmp_path / "run", **changes)).run()
    lines = [json.loads(line) for line in report.log.read_text().splitlines()]
    measured = [line for line in lines if line["stage"] == "twins"]
    assert [(line["step"], line["twin_episodes"]) for line in measured] == [(0, 3), (1, 3), (2, 3)]
    assert all(line["hack_rate"] == line["twins_passed"] / 3 for line in measured)
    assert twin not in report.tasks


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    def grpo(steps: int) -> dict[str, object]:
        return {"grpo": GRPOConfig(steps=steps, group_size=4, learning_rate=3e-3)}

    whole = Training(task_set(), config(tmp_path / "whole", **grpo(4))).run()
    Training(task_set(), config(tmp_path / "parts", **grpo(2))).run()
    parts = Training(task_set(), config(tmp_path / "parts", **grpo(4))).run()
    assert parts.mean_reward_by_step == whole.mean_reward_by_step
    assert same_weights(load_model(str(parts.checkpoint)), load_model(str(whole.checkpoint)))
    kept = sorted(path.name for path in (tmp_path / "parts" / "checkpoints").iterdir())
    assert kept == ["step-000003", "step-000004"]


@pytest.mark.parametrize("unblocked", [True, False])
def test_a_run_says_where_the_blockers_were_off(tmp_path: Path, unblocked: bool) -> None:
    Training(replace(task_set(), unblocked=unblocked), config(tmp_path / "run"))
    marked = tmp_path / "run" / "UNBLOCKED"
    assert marked.exists() is unblocked
    assert not unblocked or "blockers are off" in marked.read_text()


def test_a_run_that_is_done_changes_nothing(tmp_path: Path) -> None:
    settings = config(tmp_path, grpo=GRPOConfig(steps=1, group_size=2), calibration=CalibrationConfig(episodes=0))
    first = Training(task_set(), settings).run()
    again = Training(task_set(), settings).run()
    assert again.model_copy(update={"seconds": 0}) == first.model_copy(update={"seconds": 0})
    assert first.baseline is None
    assert list(first.tasks) == sorted(TASKS)


def test_demonstrations_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooFewTasksError, match="of 4 demonstrations 4 solved their task and none of those fits"):
        Training(task_set(), config(tmp_path, turn_tokens=1)).run()
    assert not (tmp_path / "checkpoints").exists()


def test_a_model_that_does_not_exist_is_told_before_any_work(tmp_path: Path) -> None:
    def never(count: int) -> list[Script]:
        raise AssertionError("no demonstration may be played")

    tasks = TaskSet(make_env=WordEnv, task_ids=TASKS, demonstrate=never, sources=toy_texts)
    with pytest.raises(ModelError, match=r"no model at '\./nowhere'"):
        Training(tasks, config(tmp_path, model="./nowhere")).run()


def test_a_half_written_checkpoint_is_not_read(tmp_path: Path, language_model: LanguageModel) -> None:
    learner = Learner(language_model.model, learning_rate=1.0)
    state = RunState(step=1, mean_reward_by_step=(0.5,), demonstrated=("a",))
    save_checkpoint(tmp_path, language_model, learner, state)
    (tmp_path / "step-000002.part").mkdir()
    found = load_latest(tmp_path)
    assert found is not None
    assert (found.path.name, found.state) == ("step-000001", state)
    assert same_weights(found.language_model, language_model)
    save_checkpoint(tmp_path, language_model, learner, state.model_copy(update={"step": 2}))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000001", "step-000002"]


def test_tasks_are_chosen_by_measured_pass_rate() -> None:
    def rates(**solved: int) -> Calibration:
        found = tuple(TaskRate(task_id=task, episodes=4, solved=number) for task, number in solved.items())
        return Calibration(policy="p", temperature=1.0, rates=found)

    mixed = rates(never=0, seldom=1, often=3, always=4)
    assert mixed.chosen() == ["seldom", "often"]
    assert mixed.baseline() == 0.5
    assert rates(never=0, always=4).chosen() == ["never", "always"]


def test_a_curve_without_a_baseline_is_drawn(tmp_path: Path) -> None:
    draw_curve(tmp_path / "deep" / "curve.png", [0.1], baseline=None, title="one step")
    assert (tmp_path / "deep" / "curve.png").stat().st_size > 1000


def same_weights(one: LanguageModel, other: LanguageModel) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
