"""Trajectories: ATIF v1.8 on disk, whole after every step, and readable again."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from agent_env.atif import Agent, Metrics
from agent_env.outcome import InfraFailed, LimitStopped, PolicyFault, Scored
from agent_env.tools import Observation, ToolCall
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from blockers.monitor.events import Event, Stage, Status, Vector
from tasks.errors import BadInputError, InfraError

AGENT = Agent(name="tester", version="1.0", model_name="tiny", tool_definitions=[{"type": "function"}])

ROOT = {
    *("schema_version", "session_id", "trajectory_id", "agent", "steps", "notes", "final_metrics"),
    *("continued_trajectory_ref", "subagent_trajectories", "extra"),
}
STEP = {
    *("step_id", "timestamp", "source", "model_name", "reasoning_effort", "message", "reasoning_content"),
    *("tool_calls", "observation", "metrics", "is_copied_context", "llm_call_count", "extra"),
}


@pytest.fixture
def recorder(tmp_path: Path) -> TrajectoryRecorder:
    made = TrajectoryRecorder(tmp_path / "runs" / "a", AGENT, task_id="toolz-1")
    made.start("Mend it.")
    return made


def test_every_step_is_on_disk_at_once(recorder: TrajectoryRecorder) -> None:
    assert [step.source for step in read_trajectory(recorder.path).steps] == ["user"]
    recorder.add_turn("ls <x>", [ToolCall("bash", {"command": "ls"})], [Observation("a.py")])
    recorder.add_turn("garbage", [], [Observation("Error: no tool call")])
    recorder.finish(Scored(1.0, "passed"))
    shown = json.loads(recorder.path.read_text())
    assert set(shown) <= ROOT
    assert all(set(step) <= STEP for step in shown["steps"])
    assert shown["schema_version"] == "ATIF-v1.8"
    assert shown["agent"] == AGENT.model_dump(exclude_none=True)
    assert [step["step_id"] for step in shown["steps"]] == [1, 2, 3]
    first, second = shown["steps"][1:]
    assert first["message"] == "ls <x>"
    (call,) = first["tool_calls"]
    assert (call["function_name"], call["arguments"]) == ("bash", {"command": "ls"})
    assert first["observation"] == {"results": [{"source_call_id": call["tool_call_id"], "content": "a.py"}]}
    assert "tool_calls" not in second
    assert second["observation"] == {"results": [{"content": "Error: no tool call"}]}
    assert shown["extra"] == {
        "task_id": "toolz-1",
        "outcome": "Scored",
        "reward": 1.0,
        "masked": False,
        "detail": "passed",
    }
    assert shown["final_metrics"] == {
        "total_steps": 3,
        "extra": {"hack_attempted": 0, "hack_blocked": 0, "hack_succeeded": 0},
    }
    assert [path.name for path in recorder.path.parent.iterdir()] == [recorder.path.name]


@pytest.mark.parametrize("outcome", [Scored(0.0), LimitStopped("steps"), PolicyFault("oom"), InfraFailed("disk")])
def test_each_outcome(recorder: TrajectoryRecorder, outcome: Scored | LimitStopped | PolicyFault | InfraFailed) -> None:
    recorder.finish(outcome)
    extra = read_trajectory(recorder.path).extra
    assert extra is not None
    assert (extra["outcome"], extra["reward"]) == (outcome.name, 0.0)
    assert extra["masked"] == isinstance(outcome, InfraFailed)


def test_events_are_counted_by_status(recorder: TrajectoryRecorder) -> None:
    def event(status: Status) -> Event:
        return Event(vector=Vector.GIT_HISTORY, stage=Stage.FETCH, status=status, turn=1, evidence="x")

    recorder.finish(Scored(0.0), [event("blocked"), event("attempted"), event("blocked")])
    metrics = read_trajectory(recorder.path).final_metrics
    assert metrics is not None
    assert metrics.extra == {"hack_attempted": 1, "hack_blocked": 2, "hack_succeeded": 0}


def test_tokens_are_attached_to_the_latest_turn(recorder: TrajectoryRecorder) -> None:
    metrics = Metrics(prompt_tokens=3, completion_tokens=2, completion_token_ids=[7, 8], logprobs=[-0.5, -1.25])
    with pytest.raises(BadInputError, match="no turn"):
        recorder.measure(metrics)
    recorder.add_turn("a", [], [Observation("b")])
    recorder.measure(metrics)
    recorder.add_turn("c", [], [Observation("d")])
    recorder.finish(LimitStopped("steps"))
    recorder.measure(Metrics(completion_tokens=5))
    found = read_trajectory(recorder.path)
    assert found.steps[1].metrics == metrics
    assert found.final_metrics is not None
    assert (found.final_metrics.total_prompt_tokens, found.final_metrics.total_completion_tokens) == (3, 7)


@pytest.mark.parametrize("wrong", [{"logprobs": [-math.inf]}, {"cost_usd": math.nan}, {"extra": {"x": object()}}])
def test_metrics_that_are_no_json_are_refused_and_do_no_harm(
    recorder: TrajectoryRecorder, wrong: dict[str, Any]
) -> None:
    recorder.add_turn("a", [], [Observation("b")])
    with pytest.raises(BadInputError, match=r"cannot be written as JSON.*expected finite numbers"):
        recorder.measure(Metrics(**wrong))
    recorder.add_turn("c", [], [Observation("d")])
    assert [step.metrics for step in read_trajectory(recorder.path).steps] == [None, None, None]


def test_nothing_is_measured_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no turn has been recorded"):
        TrajectoryRecorder(tmp_path, AGENT, task_id="toolz-1").measure(Metrics())


def test_the_end_is_forced_to_the_disk_with_its_name(
    recorder: TrajectoryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[tuple[int, bool]] = []

    def fsync(descriptor: int) -> None:
        forced.append((os.fstat(descriptor).st_ino, recorder.path.stat().st_ino == forced[0][0] if forced else False))

    monkeypatch.setattr(os, "fsync", fsync)
    recorder.add_turn("a", [], [Observation("b")])
    assert forced == []
    recorder.finish(LimitStopped("steps"))
    assert forced == [(recorder.path.stat().st_ino, False), (recorder.path.parent.stat().st_ino, True)]


def test_what_no_utf8_holds_is_kept_as_an_escape(recorder: TrajectoryRecorder) -> None:
    recorder.add_turn("a\ud800", [ToolCall("bash", {"command": "\ud800"})], [Observation("x")])
    assert read_trajectory(recorder.path).steps[1].message == "a\\ud800"


def test_the_last_whole_state_survives_a_failing_write(recorder: TrajectoryRecorder) -> None:
    recorder.path.with_suffix(".part").mkdir()
    with pytest.raises(InfraError, match="cannot be written"):
        recorder.add_turn("a", [], [Observation("b")])
    assert len(read_trajectory(recorder.path).steps) == 1


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"schema_version": "ATIF-v9"}', "\xff", pytest.param("[" * 200_000, id="deep")]
)
def test_files_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(BadInputError, match="not a trajectory"):
        read_trajectory(path)
    with pytest.raises(BadInputError, match="no trajectory at"):
        read_trajectory(tmp_path / "absent.json")
