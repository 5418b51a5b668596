"""Real rollouts of verifiers 0.4, whose ``mcp`` is newer than OpenEnv's can be: in a venv of its own, made once."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uv
from platformdirs import user_cache_path

from agent_env.env import SWEEnv
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from tasks.patch import make_patch
from tasks.pool import Pool

ROOT = Path(__file__).parents[2]
PINS = ROOT / "constraints.txt"
OTHER = ("mcp==",)
"""Pins that verifiers cannot keep."""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of a venv that holds the project's dependencies and verifiers; kept in the user's cache."""
    pins = "\n".join(line for line in PINS.read_text().splitlines() if not line.startswith(OTHER))
    wanted = hashlib.sha256((pins + (ROOT / "pyproject.toml").read_text() + sys.version).encode()).hexdigest()[:16]
    folder = user_cache_path("repodojo") / "test-venvs" / f"verifiers-{wanted}"
    found = folder / "bin" / "python"
    if not (folder / "ready").exists():
        command = [uv.find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        subprocess.run(command, check=True)
        (folder / "pins.txt").write_text(pins)
        install = ["pip", "install", "--quiet", "--python", str(found), "--constraint", str(folder / "pins.txt")]
        wants = ["-r", str(ROOT / "pyproject.toml"), "--extra", "verifiers"]
        subprocess.run([uv.find_uv_bin(), *install, *wants], check=True)
        (folder / "ready").touch()
    return found


def rollouts(python: Path, store: EnvironmentStore, given: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(ROOT / "tests/agent_env/verifiers_rollout.py")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "REPODOJO_HOME": str(store.root.parent)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.network
@pytest.mark.slow
def test_oracle_one_noop_zero(graded_pool: Pool, store: EnvironmentStore, python: Path) -> None:
    task = graded_pool.task("tiny-total")
    oracle = oracle_actions(task, Workbench(graded_pool, store).build(task).tree)
    given = {"pool": str(graded_pool.path), "task_id": task.id, "scripts": [oracle, noop_actions(task)]}
    found = rollouts(python, store, given)
    solved, idle = found["episodes"]
    assert [(one["ok"], one["reward"], one["errors"]) for one in (solved, idle)] == [(True, 1.0, []), (True, 0.0, [])]
    assert solved["info"]["repodojo"] == {"reward": 1.0, "outcome": "Scored"}
    assert found["sound"] is True
    assert found["key"] == task.id
    assert found["left"] == 0
    prompt, _ = SWEEnv(pool=graded_pool, store=store).twin().reset(options={"task_id": task.id})
    assert found["heard"][0] == [{"role": "user", "content": prompt}]
    assert len(found["heard"]) == len(oracle) + 1
    for secret in ("test_hidden", "certificate", "gold_patch"):
        assert secret not in idle["trace"]


@pytest.mark.network
@pytest.mark.slow
def test_a_machine_that_fails_is_no_reward(graded_pool: Pool, store: EnvironmentStore, python: Path) -> None:
    task = graded_pool.task("tiny-total")
    given = {"pool": str(graded_pool.path), "task_id": task.id, "scripts": [[None], noop_actions(task)]}
    failed, after = rollouts(python, store, given)["episodes"]
    assert (failed["ok"], failed["scored"], failed["info"]) == (False, [], {})
    assert [error.partition(": the sandbox is closed")[0] for error in failed["errors"]] == [
        "EnvError: SWEAgentEnv.run(): InfraError: SandboxError"
    ]
    assert (after["ok"], after["scored"], after["errors"]) == (True, ["solved"], [])


@pytest.mark.network
@pytest.mark.slow
def test_a_task_that_is_unsound_is_found_out(
    graded_pool: Pool, store: EnvironmentStore, python: Path, tmp_path: Path
) -> None:
    task = graded_pool.task("tiny-total")
    wrong = Pool.create(tmp_path / "pool")
    environment = graded_pool.environment(task.environment_id)
    archive = graded_pool.path / "environments" / environment.id / "tree.tar.gz"
    wrong.add_environment(environment, archive.read_bytes())
    wrong.write_tasks([task.model_copy(update={"gold_patch": make_patch({}, {"tiny/more.py": b"more = 1\n"})})])
    found = rollouts(python, store, {"pool": str(wrong.path), "task_id": task.id, "scripts": []})
    assert found["sound"] is False
