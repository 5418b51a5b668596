"""Configurations: what is wrong is named."""

from pathlib import Path

import pytest

from rl_trainer.config import GRPOConfig, TrainConfig, load_config
from rl_trainer.errors import ConfigError
from rl_trainer.run_folder import RunFolder
from rl_trainer.task_stream import tasks_of_step

GOOD = 'pool = "p"\nout = "o"\nseed = 3\n[grpo]\nalgorithm = "rloo"\nsteps = 5\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text)
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert (config.pool, config.seed, config.grpo.algorithm, config.grpo.steps) == (Path("p"), 3, "rloo", 5)
    assert config.sft == TrainConfig(pool=Path("p"), out=Path("o")).sft


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('out = "o"', "pool: Field required"),
        (GOOD + "stepz = 3", r"grpo\.stepz: Extra inputs are not permitted \(got 3\)"),
        (GOOD.replace("steps = 5", "steps = 0"), r"grpo\.steps: Input should be greater than or equal to 1 \(got 0\)"),
        (GOOD.replace('"rloo"', '"grop"'), "algorithm is 'grop'; expected one of grpo, dr_grpo, rloo"),
        (GOOD.replace('"p"', "p"), "is not TOML"),
    ],
)
def test_bad_files_are_refused_by_field(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_config(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load_config(tmp_path / "nowhere.toml")


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    config = TrainConfig(pool=Path("p"), out=tmp_path / "run")
    RunFolder(config)
    RunFolder(config.model_copy(update={"grpo": GRPOConfig(steps=9), "token_budget": 64}))
    with pytest.raises(ConfigError, match=r"other settings \(seed, temperature\)"):
        RunFolder(config.model_copy(update={"seed": 1, "temperature": 0.5}))


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="out: cannot write"):
        RunFolder(TrainConfig(pool=Path("p"), out=tmp_path / "file" / "run"))


def test_every_task_comes_once_a_pass_and_steps_do_not_depend_on_the_past() -> None:
    ids = [f"t{number}" for number in range(6)]
    steps = [tasks_of_step(ids, step=step, count=4, seed=0) for step in (1, 2, 3)]
    flat = [task for step in steps for task in step]
    assert sorted(flat[:6]) == sorted(flat[6:]) == ids
    assert flat[:6] != flat[6:]
    assert tasks_of_step(ids[::-1], step=2, count=4, seed=0) == steps[1]
    assert tasks_of_step(ids, step=1, count=4, seed=1) != steps[0]
    assert tasks_of_step(["only"], step=3, count=4, seed=0) == ["only"] * 4
