"""ATIF v1.8, the file format of trajectories, as Harbor defines it; unknown fields are refused."""

from typing import Any, Literal

from pydantic import Field

from tasks.record import Record


class Metrics(Record):
    """What sampling one step cost and gave."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    prompt_token_ids: list[int] | None = None
    """Left out of most steps of our files: see ``agent_env.token_ids``."""
    completion_token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    """The sampler's log probability of each completion token, in nats, at the temperature that it sampled at."""
    extra: dict[str, Any] | None = None
    """Ours: ``added_prompt_token_ids``, and ``policy_version`` (optimiser steps) where the trainer's policy sampled."""


class CallEntry(Record):
    """One tool call."""

    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]
    extra: dict[str, Any] | None = None


class ResultEntry(Record):
    """What one call showed; ``source_call_id`` is None where the turn held no readable call."""

    source_call_id: str | None = None
    content: str | None = None
    subagent_trajectory_ref: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class ObservationEntry(Record):
    """What a step showed."""

    results: list[ResultEntry]


class Step(Record):
    """One step; model and tool fields only where the source is the agent."""

    step_id: int
    timestamp: str | None = None
    source: Literal["system", "user", "agent"]
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    message: str
    reasoning_content: str | None = None
    tool_calls: list[CallEntry] | None = None
    observation: ObservationEntry | None = None
    metrics: Metrics | None = None
    is_copied_context: bool | None = None
    """Whether it was played in the episode that this one was forked from: it counts, and trains, there."""
    llm_call_count: int | None = None
    extra: dict[str, Any] | None = None


class Agent(Record):
    """Who acted."""

    name: str
    version: str
    model_name: str | None = None
    tool_definitions: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class FinalMetrics(Record):
    """Sums over the steps, less the copied ones but for ``total_steps``; None where no step told."""

    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: dict[str, Any] | None = None


class Trajectory(Record):
    """One episode. Ours keep in ``extra``: ``task_id``, ``rules``, ``tripwires`` (their tokens) where there are any,
    ``unblocked`` where the pool's blockers are off, in one that began as a fork ``forked_from`` (a trajectory's id) and
    ``forked_after`` (the steps after which it forked, as did what it was forked from), ``submission`` (the diff that
    was graded) once there is one, and at the end ``outcome``, ``reward``, ``masked``, ``detail`` and the monitor's
    ``events`` where there are any; a step with events, or with requests to a package index (``packages``), has them in
    its own ``extra``. There ``native`` marks a turn whose calls did not stand in its text, and are not in the file
    either. ``final_metrics.extra`` counts the events by status: ``hack_attempted``, ``hack_blocked``,
    ``hack_succeeded``. An agent's step without an observation was never played: its policy's context ended before it
    did (``detail`` is ``context``)."""

    schema_version: Literal["ATIF-v1.8"] = "ATIF-v1.8"
    session_id: str | None = None
    trajectory_id: str | None = None
    agent: Agent
    steps: list[Step] = Field(default_factory=list)
    notes: str | None = None
    final_metrics: FinalMetrics | None = None
    continued_trajectory_ref: str | None = None
    subagent_trajectories: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None
