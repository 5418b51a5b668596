"""Trajectories on disk: ATIF v1.8 JSON, one file an episode, whole after every step.

Each write goes beside the file and is renamed over it, so a killed process leaves the last whole state (and at most a
``.part`` beside it). Only the end of an episode is forced to the disk: what a crash of the whole machine may take is
episodes that were still running, which are of no use then; to force every step would cost more than the step itself.
An agent's ``message`` is its text as written, calls included: what cannot be parsed would otherwise be lost. Token ids
and log probabilities are the sampler's, given by whoever sampled; ``agent_env.token_ids`` says how prompts are written.
"""

import errno
import json
import math
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from agent_env.atif import (
    Agent,
    CallEntry,
    FinalMetrics,
    Metrics,
    ObservationEntry,
    ResultEntry,
    Step,
    Trajectory,
)
from agent_env.outcome import Outcome
from agent_env.token_ids import without_repeats
from agent_env.tools.calls import ToolCall
from agent_env.tools.observation import Observation
from blockers.monitor.events import Event, Status
from tasks.errors import BadInputError, InfraError
from tasks.record import Record

MAX_SUBMISSION_CHARS = 1_000_000
"""A longer diff is left out of the file."""


class TrajectoryRecorder:
    """Writes one episode's trajectory into ``folder`` as ``TASK-ID.json``.

    Every method that records raises ``InfraError`` where the file cannot be written.
    """

    def __init__(self, folder: Path, agent: Agent, *, task_id: str) -> None:
        self._shown = Trajectory(
            session_id=uuid.uuid4().hex, trajectory_id=uuid.uuid4().hex, agent=agent, extra={"task_id": task_id}
        )
        self.path = folder / f"{task_id}-{self._shown.trajectory_id}.json"

    @property
    def trajectory(self) -> Trajectory:
        """What has been recorded so far."""
        return self._shown

    def twin(self) -> "TrajectoryRecorder":
        """Another file, written at once, that goes on from what has been recorded: its steps up to here are marked as
        copied, ``extra.forked_from`` names this trajectory, and ``extra.forked_after`` is told that it forks here."""
        extra = self._shown.extra or {}
        forks = [*extra.get("forked_after", []), len(self._shown.steps)]
        twin = TrajectoryRecorder(self.path.parent, self._shown.agent, task_id=extra["task_id"])
        copied = [step.model_copy(update={"is_copied_context": True}) for step in self._shown.steps]
        twin._put({"steps": copied})
        twin._put_extra({**extra, "forked_from": self._shown.trajectory_id, "forked_after": forks})
        twin._write()
        return twin

    def start(
        self,
        prompt: str,
        rules: dict[str, Any] | None = None,
        tripwires: dict[str, str] | None = None,
        *,
        unblocked: bool = False,
    ) -> None:
        """Record the prompt, what a replay needs (the rules of the episode, and the tokens of its tripwires), and
        whether the pool's blockers are off. A rule of no limit is None in the file: JSON knows no infinity.
        """
        if rules is not None:
            rules = {name: None if value == math.inf else value for name, value in rules.items()}
        needed = {"rules": rules, "tripwires": tripwires, "unblocked": unblocked or None}
        self._put_extra({name: value for name, value in needed.items() if value is not None})
        self._add(Step(step_id=1, timestamp=_now(), source="user", message=prompt))

    def add_turn(
        self,
        action: str,
        calls: list[ToolCall],
        observations: list[Observation],
        events: Sequence[Event] = (),
        *,
        packages: Sequence[Record] = (),
        native: bool = False,
    ) -> None:
        """Record one turn: what the agent wrote, the calls that were run, what they showed, the monitor's events, and
        the requests to the package index.

        Where the turn held no readable call, ``calls`` is empty and the one observation says why; where it was not
        played, there is no observation either.

        Args:
            native: whether the calls were given as such, so that the text does not tell of them. Those that were
                refused or came too late stand among ``calls`` too, with one observation.
        """
        number = len(self._shown.steps) + 1
        ids = [f"call_{number}_{index}" for index in range(1, len(calls) + 1)]
        entries = [
            CallEntry(tool_call_id=id_, function_name=call.name, arguments=call.arguments)
            for id_, call in zip(ids, calls, strict=True)
        ]
        sources: list[str | None] = [*ids] if calls else [None] * len(observations)
        results = [
            ResultEntry(source_call_id=source, content=observation.text)
            for source, observation in zip(sources, observations, strict=False)  # the last call may have shown nothing
        ]
        extra: dict[str, Any] = {"events": _as_json(events)} if events else {}
        if packages:
            extra["packages"] = _as_json(packages)
        if native and not calls:
            extra["native"] = True
        step = Step(
            step_id=number,
            timestamp=_now(),
            source="agent",
            model_name=self._shown.agent.model_name,
            message=_encodable(action),
            tool_calls=entries or None,
            observation=ObservationEntry(results=results) if results else None,
            extra=extra or None,
        )
        self._add(step)

    def measure(self, metrics: Metrics) -> None:
        """Attach what sampling the latest turn cost and gave, with the whole prompt's token ids if any; of those the
        file gets what is new.

        Raises:
            BadInputError: no turn has been recorded, or a number is infinite or none, or something else that JSON does
                not know.
        """
        steps = self._shown.steps
        if not steps or steps[-1].source != "agent" or steps[-1].is_copied_context:
            raise BadInputError("no turn has been recorded yet: measure() belongs after a step of the environment")
        _require_json(metrics)
        *earlier, last = steps
        last = last.model_copy(update={"metrics": without_repeats(metrics, earlier)})
        self._put({"steps": [*earlier, last]})
        ended = self._shown.final_metrics is not None
        if ended:
            self._put({"final_metrics": _sum_metrics(self._shown)})
        self._write(last=ended)

    def submit(self, diff: str) -> None:
        """Record what goes to the grading; written with the next state."""
        if len(diff) <= MAX_SUBMISSION_CHARS:
            self._put_extra({"submission": diff})

    def finish(self, outcome: Outcome, events: Sequence[Event] = ()) -> None:
        """Record how the episode ended, and all events of the monitor."""
        if not self._shown.steps:  # it did not even start, and a trajectory has at least one step
            self._put({"steps": [Step(step_id=1, timestamp=_now(), source="system", message=outcome.detail)]})
        ended = {
            "outcome": outcome.name,
            "reward": outcome.reward,
            "masked": outcome.masked,
            "detail": outcome.detail,
        }
        self._put_extra(ended | ({"events": _as_json(events)} if events else {}))
        self._put({"final_metrics": _sum_metrics(self._shown)})
        self._write(last=True)

    def _add(self, step: Step) -> None:
        self._put({"steps": [*self._shown.steps, step]})
        self._write()

    def _put(self, fields: dict[str, Any]) -> None:
        self._shown = self._shown.model_copy(update=fields)

    def _put_extra(self, fields: dict[str, Any]) -> None:
        self._put({"extra": {**(self._shown.extra or {}), **fields}})

    def _write(self, *, last: bool = False) -> None:
        beside = self.path.with_suffix(".part")
        # By json, not pydantic, and in ASCII: an argument may hold half a surrogate pair, which UTF-8 cannot.
        text = json.dumps(self._shown.model_dump(exclude_none=True)) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("w", encoding="ascii") as file:
                file.write(text)
                if last:
                    file.flush()
                    os.fsync(file.fileno())
            beside.replace(self.path)
            if last:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise InfraError(f"the trajectory {self.path} cannot be written: {error}") from error


def read_trajectory(path: Path) -> Trajectory:
    """Read a trajectory file.

    Raises:
        BadInputError: it is absent, damaged, or of another format.
    """
    try:
        return Trajectory.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise BadInputError(f"there is no trajectory at {path}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise BadInputError(f"{path} is not a trajectory in ATIF v1.8: {error}") from error


def read_own(path: Path) -> Trajectory:
    """Read a trajectory file of ours.

    Raises:
        BadInputError: as for ``read_trajectory``, or it names no task.
    """
    found = read_trajectory(path)
    if not isinstance((found.extra or {}).get("task_id"), str):
        raise BadInputError(f"{path} names no task: expected a trajectory of RepoDojo, with extra.task_id")
    return found


def _sum_metrics(trajectory: Trajectory) -> FinalMetrics:
    """Sums over the steps, and how many events of the monitor there are of each status."""
    measured = [step.metrics for step in trajectory.steps if step.metrics and not step.is_copied_context]
    statuses = [event["status"] for event in (trajectory.extra or {}).get("events", [])]

    def total(name: str) -> Any:
        known = [value for metrics in measured if (value := getattr(metrics, name)) is not None]
        return sum(known) if known else None

    return FinalMetrics(
        total_prompt_tokens=total("prompt_tokens"),
        total_completion_tokens=total("completion_tokens"),
        total_cached_tokens=total("cached_tokens"),
        total_cost_usd=total("cost_usd"),
        total_steps=len(trajectory.steps),
        extra={f"hack_{status}": statuses.count(status) for status in get_args(Status)},
    )


def _require_json(metrics: Metrics) -> None:
    try:
        json.dumps(metrics.model_dump(), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(
            f"the metrics cannot be written as JSON: {error}; expected finite numbers and texts"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Force a rename to the disk, where its file system can do so by itself."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _as_json(events: Sequence[Record]) -> list[dict[str, Any]]:
    return [event.model_dump(mode="json") for event in events]


def _encodable(text: str) -> str:
    """The text, with what no UTF-8 holds (half a surrogate pair) written as an escape."""
    return text.encode(errors="backslashreplace").decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
