"""Pools: what is written comes back, equal inputs give equal hashes, and what is no pool is refused with a reason."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tasks import Environment, Pool, PoolError, Task
from tasks.tree import pack_tree


def test_tasks_come_back_as_they_were(tmp_path: Path, task: Task) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks([task])
    assert Pool(tmp_path / "pool").tasks() == [task]
    assert pool.task(task.id) == task


def test_parquet_reads_as_it_is(tmp_path: Path, task: Task) -> None:
    Pool.create(tmp_path / "pool").write_tasks([task])
    (row,) = pq.read_table(tmp_path / "pool/tasks").to_pylist()
    assert row["problem_statement"] == "It is broken."
    assert row["fail_to_pass"] == list(task.fail_to_pass)
    assert row["split"] == task.split


def test_the_hash_depends_on_content_and_not_on_order_or_seconds(tmp_path: Path, task: Task) -> None:
    other = task.model_copy(update={"id": "toy-other"})
    slower = tuple(run.model_copy(update={"seconds": 99.0}) for run in task.certificate.gold_runs)
    slow = task.model_copy(update={"certificate": task.certificate.model_copy(update={"gold_runs": slower})})
    changed = task.model_copy(update={"gold_patch": "another"})
    hashes = []
    for number, tasks in enumerate(([task, other], [other, slow], [changed, other])):
        pool = Pool.create(tmp_path / str(number))
        pool.write_tasks(tasks)
        hashes.append(pool.hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_rewriting_drops_repositories_that_have_no_tasks_any_more(tmp_path: Path, task: Task) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks([task, task.model_copy(update={"id": "x", "repo": "gone"})])
    pool.write_tasks([task])
    assert [found.repo for found in pool.tasks()] == ["toy"]


def test_every_task_is_in_one_split(tmp_path: Path, task: Task) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks([task.model_copy(update={"id": f"toy-{n}"}) for n in range(200)])
    train, test = pool.tasks("train"), pool.tasks("test")
    assert len(train) + len(test) == 200
    assert 20 <= len(test) <= 60


def test_environments_come_back_and_unpack(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a.py").write_text("a = 1\n")
    pool = Pool.create(tmp_path / "pool")
    pool.add_environment(environment, pack_tree(tmp_path / "tree"))
    assert list(pool.environments()) == [environment]
    pool.unpack_environment(environment.id, tmp_path / "out")
    assert (tmp_path / "out/a.py").read_text() == "a = 1\n"


def test_a_changed_environment_is_refused(tmp_path: Path, environment: Environment) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.add_environment(environment, b"")
    path = tmp_path / "pool/environments" / environment.id / "environment.json"
    path.write_text(path.read_text().replace("pytest==8.0.0", "pytest==8.0.1"))
    with pytest.raises(PoolError, match="was changed"):
        pool.environment(environment.id)


def test_a_missing_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"toy-1 is missing.*Copy the pool again"):
        Pool.create(tmp_path / "pool").environment("toy-1")


def test_a_directory_that_is_no_pool_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PoolError, match="is not a pool"):
        Pool(tmp_path)
    with pytest.raises(PoolError, match="exists and is not a pool"):
        Pool.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Pool.create(tmp_path / "pool")
    (tmp_path / "pool/pool.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(PoolError, match="format 99; this RepoDojo reads format 1"):
        Pool(tmp_path / "pool")


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    Pool.create(tmp_path / "pool")
    (tmp_path / "pool/pool.json").write_text(text)
    with pytest.raises(PoolError, match="damaged"):
        Pool(tmp_path / "pool")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path, task: Task) -> None:
    pool = Pool.create(tmp_path / "pool")
    pool.write_tasks([task])
    (tmp_path / "pool/tasks/toy.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(PoolError, match=r"toy\.parquet is damaged"):
        pool.tasks()


def test_records_are_closed_and_frozen(task: Task) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate({**task.model_dump(), "extra": 1})
    with pytest.raises(ValidationError):
        task.id = "other"  # type: ignore[misc]
