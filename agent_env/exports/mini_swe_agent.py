"""mini-swe-agent's ``.traj.json`` files (``trajectory_format`` ``mini-swe-agent-1.1``), in its message form with tool
calls.

Its only tool is ``bash``; calls of our other tools keep their name and arguments, and stand among the ``actions`` as
text. ``returncode`` is not recorded by us and left out.
"""

import json
from datetime import datetime
from typing import Any

from agent_env.atif import CallEntry, Step, Trajectory
from agent_env.exports.parts import (
    action_text,
    call_results,
    encodable,
    ending,
    exit_status,
    model_stats,
    submission,
)

FORMAT = "mini-swe-agent-1.1"


def to_mini_swe_agent(trajectory: Trajectory) -> dict[str, Any]:
    """The content of a ``.traj.json`` file."""
    messages: list[dict[str, Any]] = []
    for step in trajectory.steps:
        messages += _turn(step) if step.source == "agent" else [{"role": step.source, "content": step.message}]
    status, patch = exit_status(trajectory), submission(trajectory)
    if status:
        end = {"exit_status": status, "submission": patch}
        messages.append({"role": "exit", "content": patch or status, "extra": end})
    agent = trajectory.agent
    config = {
        "agent": (trajectory.extra or {}).get("rules", {}),
        "agent_type": agent.name,
        "model": {"model_name": agent.model_name or ""},
    }
    info = {
        "model_stats": model_stats(trajectory),
        "config": config,
        "mini_version": f"repodojo {agent.version}",
        "exit_status": status,
        "submission": patch,
        "repodojo": ending(trajectory),
    }
    return dict(encodable({"info": info, "messages": messages, "trajectory_format": FORMAT}))


def _turn(step: Step) -> list[dict[str, Any]]:
    when = {"timestamp": datetime.fromisoformat(step.timestamp).timestamp()} if step.timestamp else {}
    shown = call_results(step)
    calls = [call for call, _ in shown if call]
    actions = [{"command": action_text(call), "tool_call_id": call.tool_call_id} for call in calls]
    said: dict[str, Any] = {"role": "assistant", "content": step.message, "extra": {"actions": actions, **when}}
    if step.metrics and step.metrics.cost_usd is not None:
        said["extra"]["cost"] = step.metrics.cost_usd
    if not step.observation:
        return [said]
    if not calls:
        return [said, {"role": "user", "content": shown[0][1], "extra": {"interrupt_type": "FormatError", **when}}]
    said["tool_calls"] = [_tool_call(call) for call in calls]
    answers = [
        {"role": "tool", "tool_call_id": call.tool_call_id, "content": text, "extra": {"raw_output": text, **when}}
        for call, text in shown
        if call
    ]
    return [said, *answers]


def _tool_call(call: CallEntry) -> dict[str, Any]:
    function = {"name": call.function_name, "arguments": json.dumps(call.arguments)}
    return {"id": call.tool_call_id, "type": "function", "function": function}
