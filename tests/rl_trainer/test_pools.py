"""Pools that cannot be trained on or evaluated are refused by name."""

from pathlib import Path
from typing import Literal

import pytest

from rl_trainer.calibration import Calibration, TaskRate, write_difficulty
from rl_trainer.config import TrainConfig
from rl_trainer.errors import TooFewTasksError
from rl_trainer.evaluate import evaluate
from rl_trainer.task_set import open_task_set
from tasks.certificate import Certificate, RunEvidence
from tasks.errors import PoolError
from tasks.pool import Pool
from tasks.task import Statement, Task


def test_an_empty_pool_is_refused(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "pool")
    with pytest.raises(TooFewTasksError, match="holds no task in split 'all'"):
        evaluate(pool, "oracle")
    with pytest.raises(TooFewTasksError, match="holds no task in split 'train'"):
        open_task_set(TrainConfig(pool=pool.path, out=tmp_path / "out"))


def test_a_folder_that_is_no_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"is not a pool: it has no pool\.json"):
        open_task_set(TrainConfig(pool=tmp_path, out=tmp_path / "out"))


def test_measured_pass_rates_become_the_difficulty_of_their_tasks(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks([make_task("a"), make_task("b", difficulty=0.5), make_task("c", difficulty=0.25)])
    rates = (
        TaskRate(task_id="a", episodes=4, solved=3),
        TaskRate(task_id="b", episodes=0, solved=0),  # every episode was broken: nothing was measured
    )
    write_difficulty(pool, Calibration(policy="p", temperature=1.0, rates=rates))
    assert {task.id: task.difficulty for task in pool.tasks()} == {"a": 0.75, "b": 0.5, "c": 0.25}


def make_task(name: str, difficulty: float | None = None) -> Task:
    def run(reward: Literal[0, 1]) -> RunEvidence:
        return RunEvidence(order_seed=0, reward=reward, passed=reward, seconds=0.1)

    return Task(
        id=name,
        repo="r",
        commit="c" * 40,
        licence="MIT",
        environment_id="r-c",
        strategy="procedural.test",
        setup_patch="",
        gold_patch="",
        test_patch="",
        fail_to_pass=("t::a",),
        pass_to_pass=(),
        test_command="pytest",
        statement=Statement(text="mend it", method="template"),
        certificate=Certificate(start_runs=(run(0),), gold_runs=(run(1),), sandbox="bubblewrap", digests={}),
        difficulty=difficulty,
    )
