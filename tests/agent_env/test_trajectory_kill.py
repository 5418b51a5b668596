"""A process killed at any moment leaves a trajectory that is whole: all turns that had ended are in it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_env.store import EnvironmentStore
from agent_env.trajectory import read_trajectory
from tasks.pool import Pool

pytestmark = pytest.mark.sandbox

RECORD = """
import sys
from pathlib import Path
from agent_env.tools import Observation, ToolCall
from agent_env.atif import Agent
from agent_env.trajectory import TrajectoryRecorder

recorder = TrajectoryRecorder(Path(sys.argv[1]), Agent(name="a", version="1"), task_id="t")
recorder.start("Mend it.")
for number in range(100_000):
    recorder.add_turn("x" * 3000, [ToolCall("bash", {"command": "ls"})], [Observation("y" * 3000)])
    print(number, flush=True)
"""

PLAY = """
import sys
from pathlib import Path
from agent_env.episode import Episode
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.atif import Agent
from agent_env.trajectory import TrajectoryRecorder
from agent_env.workbench import Workbench
from tasks.pool import Pool

folder, pool, store = map(Path, sys.argv[1:])
opened = Pool(pool)
task = opened.task("tiny-total")
bench = Workbench(opened, EnvironmentStore(BubblewrapBackend(), store))
episode = Episode(task, bench, recorder=TrajectoryRecorder(folder, Agent(name="a", version="1"), task_id=task.id))
episode.start()
for command in ("echo one", "echo two", "sleep 60"):
    print(command, flush=True)
    episode.turn(format_call(ToolCall("bash", {"command": command})))
"""


def kill_after(script: str, lines: int, pause: float, *arguments: str) -> int:
    """Run a script, and kill it a moment after it printed so many lines; how many it printed in all."""
    with subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(lines):
            assert running.stdout.readline()
        time.sleep(pause)
        running.kill()
        return lines + len(running.stdout.readlines())


@pytest.mark.parametrize("turns", [1, 7, 30, 60])
def test_killed_while_it_writes(tmp_path: Path, turns: int) -> None:
    printed = kill_after(RECORD, turns, 0.0003 * turns, str(tmp_path))
    (path,) = tmp_path.glob("*.json")
    found = read_trajectory(path)
    assert printed + 1 <= len(found.steps) <= printed + 2
    assert found.extra == {"task_id": "t"}


@pytest.mark.slow
def test_killed_in_a_command(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    kill_after(PLAY, 3, 0.2, str(tmp_path), str(bare_pool.path), str(store.root))
    (path,) = tmp_path.glob("*.json")
    found = read_trajectory(path)
    shown = [step.observation.results[0].content for step in found.steps if step.observation]
    assert shown == ["one", "two"]
    assert "outcome" not in (found.extra or {})
