"""Replays: the same where nothing changed, and the first difference where something did."""

import json
import math
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent_env.atif import Agent, Step, Trajectory
from agent_env.episode import Episode, Rules
from agent_env.replay import Difference, replay
from agent_env.scripted import oracle_actions
from agent_env.stable_text import stable
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.test_episode_ends import broken_bench
from tests.agent_env.turns import bash


def record(bench: Workbench, folder: Path, actions: list[str], rules: Rules | None = None) -> Trajectory:
    task = bench.pool.task("tiny-total")
    recorder = TrajectoryRecorder(folder, Agent(name="a", version="1"), task_id=task.id)
    with Episode(task, bench, rules, recorder) as episode:
        episode.start()
        for action in actions:
            episode.turn(action)
    return read_trajectory(recorder.path)


def with_step(trajectory: Trajectory, number: int, **fields: object) -> Trajectory:
    steps: list[Step] = list(trajectory.steps)
    steps[number] = steps[number].model_copy(update=fields)
    return trajectory.model_copy(update={"steps": steps})


ACTIONS = [
    bash("ls; cd tiny; X=1") + bash("pwd; echo $X"),
    "no call at all",
    format_call(ToolCall("edit", {"command": "create", "path": "new.py", "file_text": "x = 1\n"})),
    format_call(ToolCall("nothing")),
    bash("sleep 60"),
    bash("exit 3"),
]


def test_the_same(bench: Workbench, tmp_path: Path) -> None:
    trajectory = record(bench, tmp_path, ACTIONS, Rules(command_timeout=1.0))
    report = replay(trajectory, bench, exact=True)
    assert (report.difference, report.steps, report.calls, report.notes) == (None, 6, 6, ())


def test_the_recorded_rules_hold(bench: Workbench, tmp_path: Path) -> None:
    form = '[TOOL_CALLS]bash[ARGS]{"command": "seq 1000"}'
    trajectory = record(bench, tmp_path, [form] * 2, Rules(max_steps=2, observation_chars=100, call_format="mistral"))
    assert trajectory.extra is not None
    assert trajectory.extra["detail"] == "steps"
    assert replay(trajectory, bench).difference is None
    older = trajectory.model_copy(update={"extra": {"task_id": "tiny-total"}})
    report = replay(older, bench)
    assert report.difference is not None
    assert report.difference.what == "observation"
    assert report.notes == (
        "the prompt is another one now",
        "the recording holds no rules: replayed under the default ones",
        "the recording has no end: compared as far as it goes",
    )


def test_no_limit_of_time_is_json_too(bench: Workbench, tmp_path: Path) -> None:
    trajectory = record(bench, tmp_path, ACTIONS[:1], Rules(time_limit=math.inf))
    json.dumps(trajectory.model_dump(), allow_nan=False)
    assert trajectory.extra is not None
    assert trajectory.extra["rules"]["time_limit"] is None
    assert replay(trajectory, bench, exact=True).difference is None


def test_a_turn_too_long_to_be_read(bench: Workbench, tmp_path: Path) -> None:
    trajectory = record(bench, tmp_path, ["x" * 3_000_000])
    assert replay(trajectory, bench, exact=True).difference is None


def test_calls_that_were_given_as_such_and_not_run(bench: Workbench, tmp_path: Path) -> None:
    task = bench.pool.task("tiny-total")
    recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
    with Episode(task, bench, recorder=recorder) as episode:
        episode.start()
        episode.call([ToolCall("bash", {"command": f"echo {number}"}) for number in range(17)], "All at once.")
        episode.call([], "I am done.")
        episode.call([ToolCall("bash", {"command": "echo fine"})])
    trajectory = read_trajectory(recorder.path)
    assert [len(step.tool_calls or []) for step in trajectory.steps] == [0, 17, 0, 1]
    assert replay(trajectory, bench, exact=True).difference is None


def test_a_call_given_as_such_that_broke_the_sandbox(bench: Workbench, tmp_path: Path) -> None:
    task, broken = bench.pool.task("tiny-total"), broken_bench(bench, 1)
    recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
    with Episode(task, broken, recorder=recorder) as episode:
        episode.start()
        for word in ("first", "last"):
            episode.call([ToolCall("bash", {"command": f"echo {word}"})])
    trajectory = read_trajectory(recorder.path)
    assert trajectory.steps[-1].tool_calls is not None
    assert trajectory.steps[-1].tool_calls[0].arguments == {"command": "echo last"}
    assert replay(trajectory, broken, exact=True).difference is None


def test_what_a_fork_lacks_is_lacking_in_its_replay(bench: Workbench, tmp_path: Path) -> None:
    task = bench.pool.task("tiny-total")
    recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
    with Episode(task, bench, recorder=recorder) as first, ExitStack() as stack:
        first.start()
        first.turn(bash("X=1; echo $X"))
        [second] = [stack.enter_context(fork) for fork in first.fork()]
        second.turn(bash("echo X is $X; Y=2"))
        [third] = [stack.enter_context(fork) for fork in second.fork()]
        third.turn(bash("echo Y is $Y"))
    assert third.recorder is not None
    trajectory = read_trajectory(third.recorder.path)
    shown = [step.observation.results[0].content for step in trajectory.steps if step.observation]
    assert shown == ["1", "X is", "Y is"]
    report = replay(trajectory, bench, exact=True)
    assert (report.difference, report.steps) == (None, 3)


class TestDifferences:
    def test_an_observation(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(
            bench, tmp_path, [bash("echo same"), bash("echo same") + bash("date +%s%N"), bash("echo x")]
        )
        found = replay(trajectory, bench).difference
        assert found is not None
        assert (found.step, found.call, found.what) == (3, 2, "observation")
        assert found.diff().startswith("--- recorded\n+++ replayed\n@@ -1 +1 @@\n-1")

    def test_the_files_of_the_start(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(bench, tmp_path, [bash("cat tiny/counting.py")])
        other = trajectory.model_copy(update={"extra": {**(trajectory.extra or {}), "task_id": "tiny-longest"}})
        report = replay(other, bench)
        assert report.difference is not None
        assert "-        result -= number\n+        result += number" in report.difference.diff()
        assert report.notes == ("the prompt is another one now",)

    def test_fewer_calls(self, bench: Workbench, tmp_path: Path) -> None:
        rules = Rules(command_timeout=0.2, timeouts_in_a_row=1)
        trajectory = record(bench, tmp_path, [bash("true") + bash("echo x")], rules)
        assert trajectory.steps[1].tool_calls is not None
        calls = [
            call.model_copy(update={"arguments": {"command": "sleep 9"}}) for call in trajectory.steps[1].tool_calls
        ]
        found = replay(with_step(trajectory, 1, tool_calls=calls), bench).difference
        assert found is not None
        assert (found.what, found.call, found.got) == ("calls", 2, "no call ran")

    def test_an_earlier_end(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(bench, tmp_path, [bash("true")] * 3)
        rules = {"rules": {"max_steps": 2}}
        shorter = trajectory.model_copy(update={"extra": {**(trajectory.extra or {}), **rules}})
        found = replay(shorter, bench).difference
        said = "the episode ended after 2 turns: LimitStopped steps"
        assert found == Difference(step=4, call=None, what="ending", recorded="another turn", got=said)

    @pytest.mark.parametrize(("field", "value", "what"), [("outcome", "Scored", "outcome"), ("reward", 1.0, "reward")])
    def test_the_end(self, bench: Workbench, tmp_path: Path, field: str, value: object, what: str) -> None:
        trajectory = record(bench, tmp_path, [bash("true")])
        other = trajectory.model_copy(update={"extra": {**(trajectory.extra or {}), field: value}})
        found = replay(other, bench).difference
        assert found is not None
        assert (found.what, found.recorded) == (what, str(value))

    def test_durations_of_pytest_are_left_out_and_told(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(bench, tmp_path, [bash('echo "1 passed in 0.$(date +%N)s"')])
        report = replay(trajectory, bench)
        assert report.difference is None
        assert report.ignored == {"pytest's duration": 1}
        assert replay(trajectory, bench, exact=True).difference is not None


class TestBadInput:
    def test_forks_that_are_none(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(bench, tmp_path, [])
        other = trajectory.model_copy(update={"extra": {**(trajectory.extra or {}), "forked_after": 3}})
        with pytest.raises(BadInputError, match="forked_after is 3; expected a list"):
            replay(other, bench)

    def test_a_task_that_the_pool_lacks(self, bench: Workbench, tmp_path: Path) -> None:
        trajectory = record(bench, tmp_path, [])
        other = trajectory.model_copy(update={"extra": {"task_id": "nothing"}})
        with pytest.raises(BadInputError, match="nothing"):
            replay(other, bench)

    @pytest.mark.parametrize("rules", [{"max_stepz": 3}, [1], {"max_steps": "many"}, {"call_format": "x"}])
    def test_rules_that_are_none(self, bench: Workbench, tmp_path: Path, rules: object) -> None:
        trajectory = record(bench, tmp_path, [])
        other = trajectory.model_copy(update={"extra": {"task_id": "tiny-total", "rules": rules}})
        with pytest.raises(BadInputError):
            replay(other, bench)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("3 passed in 0.03s", "3 passed in <pytest's duration>"),
        ("= 3 failed in 61.20s (0:01:01) =", "<pytest's duration> 3 failed in <pytest's duration>"),
        ("a\n== 3 failed in 9.99s ==\nb", "a\n<pytest's duration> 3 failed in <pytest's duration>\nb"),
        ("== 3 failed in total ==", "== 3 failed in total =="),
        ("slept 0.03s in vain", "slept 0.03s in vain"),
        ("in 5s", "in 5s"),
        ("pid 4711", "pid 4711"),
    ],
)
def test_stable_text(text: str, becomes: str) -> None:
    assert stable(text).text == becomes


@pytest.mark.network
def test_a_graded_episode(graded_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    bench = Workbench(graded_pool, store)
    task = graded_pool.task("tiny-total")
    trajectory = record(bench, tmp_path, oracle_actions(task, bench.build(task).tree))
    assert trajectory.extra is not None
    assert trajectory.extra["submission"] == task.gold_patch
    report = replay(trajectory, bench)
    assert (report.difference, report.notes) == (None, ())
    other = trajectory.model_copy(update={"extra": {**trajectory.extra, "submission": ""}})
    found = replay(other, bench).difference
    assert found is not None
    assert found.what == "submission"
