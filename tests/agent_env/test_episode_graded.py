"""Episodes that are graded."""

import threading
from pathlib import Path

import pytest

from agent_env.atif import Agent
from agent_env.episode import Episode, Rules, Scored
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import FORMATS
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from tasks.pool import Pool
from tests.agent_env.turns import SUBMIT, bash, play


@pytest.mark.network
class TestGraded:
    """Oracle 1, no-op 0, and what lies between."""

    def test_oracle_and_noop(self, graded_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-longest")
        recorder = TrajectoryRecorder(tmp_path, Agent(name="oracle", version="1"), task_id=task.id)
        outcome = play(Episode(task, bench, recorder=recorder), oracle_actions(task, bench.build(task).tree))
        assert outcome == Scored(1.0, "passed")
        assert play(Episode(task, bench), noop_actions(task)) == Scored(0.0, "tests_failed")
        written = read_trajectory(recorder.path)
        assert written.extra is not None
        assert written.extra["reward"] == 1.0
        tested = written.steps[-2].observation
        assert tested is not None
        assert "1 passed" in str(tested.results[0].content)

    @pytest.mark.parametrize("name", FORMATS)
    def test_the_oracle_solves_in_every_form(self, graded_pool: Pool, store: EnvironmentStore, name: str) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-total")
        episode = Episode(task, bench, Rules(call_format=name))
        assert play(episode, oracle_actions(task, bench.build(task).tree, name)) == Scored(1.0, "passed")
        if name == "bash":
            assert play(Episode(task, bench, Rules(call_format=name)), noop_actions(task, name)) == Scored(
                0.0, "tests_failed"
            )

    @pytest.mark.parametrize(
        "cheat",
        [
            "mkdir -p tests; echo 'def test_total(): pass' > tests/test_hidden.py",
            "rm -rf tiny tests; echo x > tiny; echo x > tests",
            "rm tiny/counting.py; mkdir -p tiny/counting.py/a; echo x > tiny/counting.py/a/b.py",
            "python3 -c \"import os\nfor i in range(2500): os.mkdir('d'); os.chdir('d')\"",
            "ln -s / tiny/link; mkfifo tiny/pipe.py; chmod 000 tiny/words.py; touch tiny/$'\\xff\\n'.py",
            "git commit -qam x; git checkout -qb other; rm -rf tiny",
        ],
    )
    def test_what_is_no_fix_earns_nothing(
        self, graded_pool: Pool, store: EnvironmentStore, tmp_path: Path, cheat: str
    ) -> None:
        task = graded_pool.task("tiny-total")
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        episode = Episode(task, Workbench(graded_pool, store), recorder=recorder)
        outcome = play(episode, [bash(cheat) + SUBMIT])
        assert isinstance(outcome, Scored)
        assert outcome.reward == 0
        assert "submission" in (read_trajectory(recorder.path).extra or {})

    def test_episodes_in_several_threads(self, graded_pool: Pool, store: EnvironmentStore) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-total")
        actions = [oracle_actions(task, bench.build(task).tree), noop_actions(task)] * 2
        episodes = [Episode(task, bench) for _ in actions]
        threads = [threading.Thread(target=play, args=pair) for pair in zip(episodes, actions, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [episode.outcome.reward for episode in episodes if episode.outcome] == [1, 0, 1, 0]
