"""Exports of trajectories, and the ATIF file itself, against what the formats ask."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_env.atif import Agent, CallEntry, Metrics, ObservationEntry, ResultEntry, Step, Trajectory
from agent_env.exports import EXPORTS, to_mini_swe_agent, to_swe_agent
from agent_env.outcome import InfraFailed, LimitStopped, Outcome, Scored
from agent_env.tools import Observation, ToolCall
from agent_env.trajectory import TrajectoryRecorder

HARBOR = "harbor==0.25.0"
"""Carries the reference models of ATIF v1.8."""


SOLVED = Scored(1.0, "passed")


def record(folder: Path, outcome: Outcome | None = SOLVED) -> TrajectoryRecorder:
    """An episode with everything in it that is hard to write down."""
    agent = Agent(name="tester", version="1.0", model_name="tiny", tool_definitions=[{"type": "function"}])
    recorder = TrajectoryRecorder(folder, agent, task_id="toolz-1")
    recorder.start("Mend it.", rules={"max_steps": 3})
    calls = [ToolCall("bash", {"command": "ls"}), ToolCall("edit", {"command": "view", "path": "a\ud800"})]
    recorder.add_turn("I look.", calls, [Observation("a.py"), Observation("Error: not text")])
    recorder.measure(
        Metrics(
            prompt_tokens=3,
            completion_tokens=2,
            cost_usd=0.5,
            prompt_token_ids=[5, 6, 1],
            completion_token_ids=[2, 3],
            logprobs=[-0.5, -1.5],
        )
    )
    recorder.add_turn("garbage\ud800 \0", [], [Observation("Error: no tool call")])
    if outcome == LimitStopped("context"):
        recorder.add_turn("I was about to", [], [])
        recorder.measure(
            Metrics(
                prompt_tokens=6,
                completion_tokens=1,
                prompt_token_ids=[5, 6, 1, 2, 3, 9],
                completion_token_ids=[4],
                logprobs=[-0.25],
                extra={"policy_version": 3},
            )
        )
    if isinstance(outcome, Scored):
        recorder.add_turn("Done.", [ToolCall("submit")], [Observation("Submitted.", submitted=True)])
        recorder.submit("diff --git a/a.py b/a.py\n")
    if outcome:
        recorder.finish(outcome)
    return recorder


@pytest.fixture
def trajectory(tmp_path: Path) -> Trajectory:
    return record(tmp_path).trajectory


def test_swe_agent(trajectory: Trajectory) -> None:
    shown = to_swe_agent(trajectory)
    assert set(shown) == {"trajectory", "history", "info", "replay_config", "environment"}
    step = {"action", "observation", "response", "state", "thought", "execution_time", "query", "extra_info"}
    assert all(set(one) == step for one in shown["trajectory"])
    assert [(one["action"], one["observation"], one["response"]) for one in shown["trajectory"]] == [
        ("ls", "a.py", "I look."),
        ('edit {"command": "view", "path": "a\\ud800"}', "Error: not text", ""),
        ("", "Error: no tool call", "garbage\\ud800 \0"),
        ("submit {}", "Submitted.", "Done."),
    ]
    assert [item["role"] for item in shown["history"]] == [
        "user",
        *["assistant", "user", "user"],
        *["assistant", "user"] * 2,
    ]
    assert shown["info"]["exit_status"] == "submitted"
    assert shown["info"]["submission"] == "diff --git a/a.py b/a.py\n"
    assert shown["info"]["model_stats"] == {
        **{"instance_cost": 0.5, "tokens_sent": 3, "tokens_received": 2, "api_calls": 3}
    }
    assert shown["info"]["repodojo"]["reward"] == 1.0


def test_mini_swe_agent(trajectory: Trajectory) -> None:
    shown = to_mini_swe_agent(trajectory)
    assert shown["trajectory_format"] == "mini-swe-agent-1.1"
    assert set(shown["info"]) >= {"model_stats", "config", "mini_version", "exit_status", "submission"}
    assert [message["role"] for message in shown["messages"]] == [
        *("user", "assistant", "tool", "tool", "assistant", "user", "assistant", "tool", "exit")
    ]
    said, first = shown["messages"][1:3]
    assert said["extra"]["actions"][0] == {"command": "ls", "tool_call_id": "call_2_1"}
    assert said["tool_calls"][0]["function"] == {"name": "bash", "arguments": '{"command": "ls"}'}
    assert (first["tool_call_id"], first["content"]) == ("call_2_1", "a.py")
    assert shown["messages"][-1]["extra"] == {"exit_status": "Submitted", "submission": "diff --git a/a.py b/a.py\n"}


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (LimitStopped("steps"), "LimitsExceeded"),
        (LimitStopped("time"), "TimeExceeded"),
        (LimitStopped("context"), "ContextWindowExceededError"),
        (InfraFailed("x"), "InfraFailed"),
    ],
)
def test_other_ends(tmp_path: Path, name: str, outcome: Outcome, status: str) -> None:
    shown = EXPORTS[name][0](record(tmp_path, outcome).trajectory)
    assert shown["info"]["exit_status"] == status
    assert shown["info"]["submission"] == ""
    json.dumps(shown, ensure_ascii=False).encode()


def test_a_turn_that_was_not_played(tmp_path: Path) -> None:
    recorder = record(tmp_path, LimitStopped("context"))
    swe = to_swe_agent(recorder.trajectory)
    assert [one["response"] for one in swe["trajectory"]] == ["I look.", "", "garbage\\ud800 \0", "I was about to"]
    assert [(item["role"], item["content"]) for item in swe["history"][-2:]] == [
        ("user", "Error: no tool call"),
        ("assistant", "I was about to"),
    ]
    assert swe["info"]["model_stats"]["tokens_sent"] == 9
    mini = to_mini_swe_agent(recorder.trajectory)
    assert [message["role"] for message in mini["messages"][-3:]] == ["user", "assistant", "exit"]
    last = recorder.trajectory.steps[-1].metrics
    assert last is not None
    assert last.extra == {"policy_version": 3, "added_prompt_token_ids": [9]}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_recording_without_an_end(tmp_path: Path, name: str) -> None:
    shown = EXPORTS[name][0](record(tmp_path, None).trajectory)
    assert not shown["info"]["exit_status"]
    assert shown["info"]["repodojo"] == {"task_id": "toolz-1"}


@pytest.mark.parametrize("sources", [(None, None, None), ("a", "a", "b"), ("a", None, "none of them")])
def test_nothing_that_other_agents_recorded_is_lost(sources: tuple[str | None, ...]) -> None:
    calls = [CallEntry(tool_call_id=id_, function_name="bash", arguments={"command": id_}) for id_ in "ab"]
    shown = [ResultEntry(source_call_id=id_, content=f"shown {number}") for number, id_ in enumerate(sources)]
    step = Step(step_id=1, source="agent", message="", tool_calls=calls, observation=ObservationEntry(results=shown))
    trajectory = Trajectory(agent=Agent(name="other", version="1"), steps=[step])
    wanted = "shown 0\nshown 1\nshown 2"
    assert "\n".join(one["observation"] for one in to_swe_agent(trajectory)["trajectory"]).strip() == wanted
    assert "\n".join(one["content"] for one in to_mini_swe_agent(trajectory)["messages"]).strip() == wanted


VIEW = """
import asyncio, sys
from pathlib import Path
from minisweagent.run.utilities.inspector import TrajectoryInspector

async def view():
    app = TrajectoryInspector([Path(sys.argv[1])])
    async with app.run_test() as pilot:
        for _ in app.steps:
            await pilot.press("l")
        print(len(app.steps), len(app.messages))

asyncio.run(view())
"""


@pytest.mark.slow
def test_the_inspector_of_mini_swe_agent_shows_our_files(tmp_path: Path) -> None:
    path = tmp_path / "a.traj.json"
    path.write_text(json.dumps(to_mini_swe_agent(record(tmp_path).trajectory)))
    settings = {**os.environ, "MSWEA_SILENT_STARTUP": "1", "MSWEA_GLOBAL_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", VIEW, str(path)], check=False, capture_output=True, text=True, timeout=60, env=settings
    )
    assert done.stdout == "4 9\n", done.stderr


@pytest.mark.network
def test_the_reference_models_of_atif_accept_our_files(tmp_path: Path) -> None:
    recorders = [
        record(tmp_path / "runs"),
        record(tmp_path / "runs", None),
        record(tmp_path / "runs", LimitStopped("time")),
        record(tmp_path / "runs", LimitStopped("context")),
    ]
    unstarted = TrajectoryRecorder(tmp_path / "runs", Agent(name="a", version="1"), task_id="toolz-2")
    unstarted.finish(InfraFailed("the disk is on fire"))
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), HARBOR]
    # Its models run on any Python; its metadata asks for 3.12 because of its other parts.
    subprocess.run([*download, "--python-version", "3.12", "--only-binary=:all:"], check=True, timeout=120)
    (wheel,) = tmp_path.glob("harbor-*.whl")
    check = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from harbor.utils.trajectory_validator import TrajectoryValidator\n"
        "for path in sys.argv[2:]:\n"
        "    checker = TrajectoryValidator()\n"
        "    assert checker.validate(path), (path, checker.get_errors())\n"
        "print(len(sys.argv[2:]), 'valid')\n"
    )
    paths = [str(recorder.path) for recorder in (*recorders, unstarted)]
    done = subprocess.run(
        [sys.executable, "-c", check, str(wheel), *paths], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "5 valid\n", done.stderr
