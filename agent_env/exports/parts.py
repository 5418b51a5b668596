"""What the export formats have in common: how an episode ended in the words of those agents, and its calls as text."""

import json
from typing import Any

from agent_env.atif import CallEntry, ResultEntry, Step, Trajectory

_STATUS = {
    "steps": "LimitsExceeded",
    "time": "TimeExceeded",
    "timeouts": "LimitsExceeded",
    "context": "ContextWindowExceededError",
}


def exit_status(trajectory: Trajectory) -> str:
    """As mini-swe-agent says it; empty while the episode goes on."""
    extra = trajectory.extra or {}
    outcome = extra.get("outcome", "")
    if outcome == "Scored":
        return "Submitted"
    return _STATUS.get(str(extra.get("detail")), str(outcome))


def submission(trajectory: Trajectory) -> str:
    """The diff that was graded; empty where none was."""
    return str((trajectory.extra or {}).get("submission", ""))


def ending(trajectory: Trajectory) -> dict[str, Any]:
    """What those formats have no field for and ours has: task, outcome, reward."""
    names = ("task_id", "outcome", "reward", "masked", "detail")
    return {name: value for name, value in (trajectory.extra or {}).items() if name in names}


def model_stats(trajectory: Trajectory) -> dict[str, Any]:
    """Cost in dollars, tokens and number of turns; 0 where it is not known."""
    total = trajectory.final_metrics
    return {
        "instance_cost": (total and total.total_cost_usd) or 0.0,
        "tokens_sent": (total and total.total_prompt_tokens) or 0,
        "tokens_received": (total and total.total_completion_tokens) or 0,
        "api_calls": sum(step.source == "agent" for step in trajectory.steps),
    }


def action_text(call: CallEntry) -> str:
    """A call in one text: of ``bash`` the command, of other tools the name and the arguments."""
    if call.function_name == "bash" and isinstance(call.arguments.get("command"), str):
        return str(call.arguments["command"])
    return f"{call.function_name} {json.dumps(call.arguments)}"


def call_results(step: Step) -> list[tuple[CallEntry | None, str]]:
    """Each call of an agent's step with what it showed; None for the one answer to a step without a readable call,
    empty where the step was not played. What names none of the calls, as other agents' recordings have it, is shown
    with the last one."""
    results: list[ResultEntry] = step.observation.results if step.observation else []
    if not step.tool_calls:
        return [(None, "\n".join(result.content or "" for result in results))]
    shown: dict[str, list[str]] = {call.tool_call_id: [] for call in step.tool_calls}
    for result in results:
        source = result.source_call_id if result.source_call_id in shown else step.tool_calls[-1].tool_call_id
        shown[source].append(result.content or "")
    return [(call, "\n".join(shown[call.tool_call_id])) for call in step.tool_calls]


def encodable(value: Any) -> Any:
    """The value with what no UTF-8 holds (half a surrogate pair) written as an escape, at any depth."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list):
        return [encodable(item) for item in value]
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return value
