"""Pools that cannot be trained on or evaluated are refused by name."""

from pathlib import Path

import pytest

from rl_trainer.config import TrainConfig
from rl_trainer.errors import TooFewTasksError
from rl_trainer.evaluate import evaluate
from rl_trainer.task_set import open_task_set
from tasks.errors import PoolError
from tasks.pool import Pool


def test_an_empty_pool_is_refused(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path / "pool")
    with pytest.raises(TooFewTasksError, match="holds no task in split 'all'"):
        evaluate(pool, "oracle")
    with pytest.raises(TooFewTasksError, match="holds no task in split 'train'"):
        open_task_set(TrainConfig(pool=pool.path, out=tmp_path / "out"))


def test_a_folder_that_is_no_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"is not a pool: it has no pool\.json"):
        open_task_set(TrainConfig(pool=tmp_path, out=tmp_path / "out"))
