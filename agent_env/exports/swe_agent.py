"""SWE-agent's ``.traj`` files, as its version 1.1 writes them and its inspectors read them.

One entry of ``trajectory`` is one call: a turn with several becomes several, and the first bears the text. SWE-agent's
own ``replay_config`` cannot be made from our episodes and is None; ``execution_time`` is 0.0, since it is not recorded.
"""

from typing import Any

from agent_env.atif import Step, Trajectory
from agent_env.exports.parts import (
    action_text,
    call_results,
    encodable,
    ending,
    exit_status,
    model_stats,
    submission,
)

AGENT = "main"
"""SWE-agent's name of its only agent."""


def to_swe_agent(trajectory: Trajectory) -> dict[str, Any]:
    """The content of a ``.traj`` file."""
    history: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for step in trajectory.steps:
        if step.source == "agent":
            steps += _steps(step)
            history += _turn(step)
        else:
            history.append(_message("system" if step.source == "system" else "user", step.message, "observation"))
    status = exit_status(trajectory)
    info = {
        "exit_status": status.lower() if status == "Submitted" else status or None,
        "submission": submission(trajectory),
        "model_stats": model_stats(trajectory),
        "repodojo": ending(trajectory),
    }
    shown = {
        "trajectory": steps,
        "history": history,
        "info": info,
        "replay_config": None,
        "environment": str((trajectory.extra or {}).get("task_id", "")),
    }
    return dict(encodable(shown))


def _steps(step: Step) -> list[dict[str, Any]]:
    return [
        {
            "action": action_text(call) if call else "",
            "observation": observation,
            "response": step.message if number == 0 else "",
            "state": {},
            "thought": step.message if number == 0 else "",
            "execution_time": 0.0,
            "query": [],
            "extra_info": {},
        }
        for number, (call, observation) in enumerate(call_results(step))
    ]


def _turn(step: Step) -> list[dict[str, Any]]:
    shown = call_results(step)
    action = "\n".join(action_text(call) for call, _ in shown if call)
    said = {**_message("assistant", step.message, "action"), "thought": step.message, "action": action}
    answers = shown if step.observation else []
    return [said, *(_message("user", observation, "observation") for _, observation in answers)]


def _message(role: str, content: str, kind: str) -> dict[str, Any]:
    return {"role": role, "content": content, "agent": AGENT, "message_type": kind}
