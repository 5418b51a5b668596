"""A pool on disk: certified tasks, the environments they run in, and the ledger of all that was tried.

    pool/
      pool.json                        marker: format version, pool hash, numbers of tasks and of impossible twins, and
                                       whether it is unblocked
      tasks/<repo>.parquet             one row a task; nested records are columns of JSON text
      environments/<id>/environment.json
      environments/<id>/tree.tar.gz    the clean source tree, so that a pool is whole without its sources
      ledger.sqlite

Every file is written beside its place and renamed into it, so a killed writer leaves the old file or the new one.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from tasks.environment import Environment
from tasks.errors import PoolError
from tasks.ledger import Ledger
from tasks.record import digest_json
from tasks.task import Split, Task
from tasks.tree import unpack_tree

FORMAT_VERSION = 1
"""Version of the directory layout and of the parquet columns."""

_TWIN_COLUMN = pa.field("twin_of", pa.string())
"""Only in files that hold a twin: what a pool without them holds is what it was before there were any."""

_JSON_COLUMNS = ("certificate", "statement", "oracle")

_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("id", "repo", "commit", "licence", "language", "environment_id", "strategy")
        ),
        *((name, pa.string()) for name in ("setup_patch", "gold_patch", "test_patch")),
        ("fail_to_pass", pa.list_(pa.string())),
        ("pass_to_pass", pa.list_(pa.string())),
        ("test_command", pa.string()),
        ("problem_statement", pa.string()),
        *((name, pa.string()) for name in _JSON_COLUMNS),
        ("difficulty", pa.float64()),
        ("split", pa.string()),
        ("format_version", pa.int64()),
    ]
)


class Pool:
    """A pool directory. ``Pool(path)`` opens one; ``Pool.create(path)`` makes an empty one or opens what is there."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._environments: dict[str, Environment] = {}
        marker = self.path / "pool.json"
        if not marker.is_file():
            raise PoolError(f"{self.path} is not a pool: it has no pool.json. Make one with `repodojo build`.")
        try:
            version = json.loads(marker.read_text())["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise PoolError(f"{marker} is damaged: expected JSON with a format_version ({error})") from error
        if version != FORMAT_VERSION:
            raise PoolError(
                f"{self.path} has pool format {version}; this RepoDojo reads format {FORMAT_VERSION}. Update RepoDojo."
            )

    @classmethod
    def create(cls, path: Path | str) -> "Pool":
        """Open the pool at ``path``, or make an empty one in a directory that is absent or empty.

        Raises:
            PoolError: the directory holds something else.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / "pool.json").is_file())):
            raise PoolError(f"{path} exists and is not a pool: expected an empty directory, an absent one or a pool")
        if not (path / "pool.json").is_file():
            for part in ("tasks", "environments"):
                (path / part).mkdir(parents=True, exist_ok=True)
            _write_marker(path, [])
        return cls(path)

    def open_ledger(self) -> Ledger:
        """The pool's ledger, opened for reading and writing."""
        return Ledger(self.path / "ledger.sqlite")

    def tasks(self, split: Split = "all") -> list[Task]:
        """The tasks of a split that can be solved, sorted by id: impossible twins are left out.

        Raises:
            PoolError: a parquet file is damaged or holds a task of another format.
        """
        return [task for task in self.rows(split) if not task.twin_of]

    def twins(self, split: Split = "all") -> list[Task]:
        """The impossible twins of a split, sorted by id; raises as ``tasks`` does."""
        return [task for task in self.rows(split) if task.twin_of]

    def rows(self, split: Split = "all") -> list[Task]:
        """All that the pool holds of a split, tasks and twins, sorted by id; raises as ``tasks`` does."""
        found = [task for file in sorted((self.path / "tasks").glob("*.parquet")) for task in _read_tasks(file)]
        return sorted((task for task in found if split in ("all", task.split)), key=lambda task: task.id)

    def task(self, task_id: str) -> Task:
        """One task, or one twin, by its id.

        Raises:
            PoolError: there is none of that id.
        """
        for task in self.rows():
            if task.id == task_id:
                return task
        raise PoolError(f"{self.path} holds no task {task_id!r}; `repodojo pool ls {self.path}` lists them")

    def write_tasks(self, tasks: Iterable[Task]) -> None:
        """Replace the pool's tasks; afterwards the marker holds the new pool hash."""
        by_repo: dict[str, list[Task]] = {}
        for task in sorted(tasks, key=lambda task: task.id):
            by_repo.setdefault(task.repo, []).append(task)
        for stale in set((self.path / "tasks").glob("*.parquet")) - {self._parquet(repo) for repo in by_repo}:
            stale.unlink()
        for repo, some in by_repo.items():
            schema = _SCHEMA.append(_TWIN_COLUMN) if any(task.twin_of for task in some) else _SCHEMA
            table = pa.Table.from_pylist([_to_row(task) for task in some], schema=schema)
            beside = self._parquet(repo).with_suffix(".part")
            pq.write_table(table, beside)
            beside.replace(self._parquet(repo))
        _write_marker(self.path, [task for some in by_repo.values() for task in some], unblocked=self.unblocked)

    @property
    def hash(self) -> str:
        """The pool hash: equal for equal inputs, seed and versions."""
        return str(json.loads((self.path / "pool.json").read_text())["pool_hash"])

    @property
    def unblocked(self) -> bool:
        """Whether this pool is for a test bench: agents find the solution in the repository's history."""
        return bool(json.loads((self.path / "pool.json").read_text()).get("unblocked", False))

    def copy_unblocked(self, target: Path | str) -> "Pool":
        """Copy the pool as one for a test bench, marked for good. See ``blockers/ablation.py``.

        Raises:
            PoolError: ``target`` exists.
        """
        copied = self.copy(target)
        _write_marker(copied.path, copied.rows(), unblocked=True)
        return copied

    def copy(self, target: Path | str) -> "Pool":
        """Copy the pool.

        Raises:
            PoolError: ``target`` exists.
        """
        target = Path(target)
        if target.exists():
            raise PoolError(f"{target} exists: expected a path where nothing is yet")
        shutil.copytree(self.path, target)
        return Pool(target)

    def add_environment(self, environment: Environment, tree: bytes) -> None:
        """Keep an environment's record and its packed tree; one that is there already is left as it is."""
        folder = self.path / "environments" / environment.id
        if (folder / "environment.json").is_file():
            return
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(folder / "tree.tar.gz", tree)
        _write_whole(folder / "environment.json", (environment.model_dump_json(indent=2) + "\n").encode())

    def environment(self, environment_id: str) -> Environment:
        """An environment's record.

        Raises:
            PoolError: it is missing or damaged.
        """
        known = self._environments.get(environment_id)
        if known:
            return known  # its id is its content
        path = self.path / "environments" / environment_id / "environment.json"
        try:
            found = Environment.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise PoolError(
                f"the pool's environment {environment_id} is missing: expected {path}. "
                f"Copy the pool again, its folder `environments` with it, or build it again with `repodojo build`."
            ) from None
        except ValidationError as error:
            raise PoolError(f"{path} is damaged: {error}") from error
        if found.id != environment_id:
            raise PoolError(f"{path} was changed: its content has the id {found.id}")
        self._environments[environment_id] = found
        return found

    def environments(self) -> Iterator[Environment]:
        """All environments, by id."""
        for folder in sorted((self.path / "environments").iterdir()):
            yield self.environment(folder.name)

    def unpack_environment(self, environment_id: str, target: Path) -> None:
        """Unpack the clean tree of an environment into ``target``."""
        archive = self.path / "environments" / environment_id / "tree.tar.gz"
        if not archive.is_file():
            raise PoolError(f"the pool's environment {environment_id} has no tree: expected {archive}")
        unpack_tree(archive.read_bytes(), target)

    def _parquet(self, repo: str) -> Path:
        return self.path / "tasks" / f"{repo}.parquet"


def _to_row(task: Task) -> dict[str, Any]:
    row = task.model_dump(mode="json")
    if not task.twin_of:
        del row["certificate"]["contradicted"]
    row["problem_statement"] = task.statement.text
    row["split"] = task.split
    return row | {name: json.dumps(row[name], sort_keys=True) for name in _JSON_COLUMNS}


def _read_tasks(path: Path) -> list[Task]:
    try:
        rows = pq.read_table(path).to_pylist()
        derived = ("problem_statement", "split")
        return [
            Task.model_validate(
                {key: value for key, value in row.items() if key not in derived}
                | {name: json.loads(row[name]) for name in _JSON_COLUMNS if name in row}
            )
            for row in rows
        ]
    except (pa.ArrowException, ValidationError, KeyError, ValueError) as error:
        raise PoolError(f"{path} is damaged or of another format: {error}") from error


def _write_marker(path: Path, tasks: list[Task], *, unblocked: bool = False) -> None:
    pool_hash = digest_json([task.content_digest() for task in sorted(tasks, key=lambda task: task.id)])
    twins = sum(bool(task.twin_of) for task in tasks)
    shown: dict[str, Any] = {"format_version": FORMAT_VERSION, "pool_hash": pool_hash, "tasks": len(tasks) - twins}
    if twins:
        shown["twins"] = twins
    if unblocked:
        shown["unblocked"] = True
    _write_whole(path / "pool.json", (json.dumps(shown, indent=2) + "\n").encode())


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a writer killed half way, never sees a part of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)
