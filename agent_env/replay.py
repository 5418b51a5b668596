"""Runs the calls of a recorded episode again, in a fresh sandbox under the recorded rules and with the recorded
tripwires, and finds the first difference. A turn that was never played, since its policy's context was full, is not
replayed either.

Compared are, of each turn, the calls that ran and what each showed; at the end the submitted diff, the outcome and the
reward. Texts are compared as they are, except for what ``agent_env.stable_text`` names, and the report counts each
place where that made a difference vanish. A prompt that differs is told but is no difference: it does not touch the
calls. A recording without an end (its process was killed) is compared as far as it goes.
"""

import difflib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any

from agent_env.atif import Agent, Step, Trajectory
from agent_env.episode import Episode, Rules
from agent_env.stable_text import stable
from agent_env.tools.calls import ToolCall
from agent_env.trajectory import TrajectoryRecorder
from agent_env.workbench import Workbench
from blockers.tripwires import Tripwires
from tasks.errors import BadInputError
from tasks.scratch import scratch

MAX_DIFF_LINES = 60
"""A longer diff is cut."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first place where the replay went another way."""

    step: int
    """The step's id in the recording."""
    call: int | None
    """Which call of the step, from 1; None where it is not about one call."""
    what: str
    """``calls``, ``observation``, ``ending``, ``submission``, ``outcome`` or ``reward``."""
    recorded: str
    got: str

    def diff(self) -> str:
        """The difference as a unified diff."""
        old, new = self.recorded.splitlines(), self.got.splitlines()
        lines = list(difflib.unified_diff(old, new, "recorded", "replayed", lineterm=""))
        more = [f"[{len(lines) - MAX_DIFF_LINES} lines more]"] if len(lines) > MAX_DIFF_LINES else []
        return "\n".join(lines[:MAX_DIFF_LINES] + more)


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    """What a replay found."""

    task_id: str
    steps: int
    """Turns that were replayed."""
    calls: int
    difference: Difference | None
    notes: tuple[str, ...] = ()
    """What a reader should know, though it is no difference."""
    ignored: dict[str, int] = field(default_factory=dict)
    """Per kind, in how many texts a part was left out of the comparison and would else have differed."""


def replay(trajectory: Trajectory, bench: Workbench, *, exact: bool = False) -> ReplayReport:
    """Replay a trajectory of ours.

    Args:
        exact: whether texts must be equal to the last character.

    Raises:
        BadInputError: it names no task of the pool, or holds rules or tripwires that are none.
        InfraError: the sandbox did not start.
    """
    extra = trajectory.extra or {}
    task = bench.pool.task(str(extra.get("task_id")))
    with scratch("replay") as folder:
        recorder = TrajectoryRecorder(folder, Agent(name="replay", version="1"), task_id=task.id)
        with Episode(task, bench.wired_as(_tripwires(extra)), _rules(extra), recorder) as episode:
            prompt = episode.start()
            notes = _notes(trajectory, prompt)
            comparison = _Comparison(exact=exact)
            steps = [step for step in trajectory.steps if step.source == "agent" and step.observation]
            difference, done = _replay_steps(steps, episode, recorder, comparison)
            if extra.get("detail") == "context":
                episode.interrupt("context")  # the policy's own limit: no call leads to it
        if difference is None and "outcome" in extra:
            difference = comparison.ends(extra, recorder.trajectory.extra or {}, trajectory.steps[-1].step_id)
    return ReplayReport(
        task_id=task.id,
        steps=done,
        calls=sum(len(step.tool_calls or []) for step in steps[:done]),
        difference=difference,
        notes=notes,
        ignored=dict(comparison.ignored),
    )


def _replay_steps(
    steps: list[Step], episode: Episode, recorder: TrajectoryRecorder, comparison: "_Comparison"
) -> tuple[Difference | None, int]:
    """Play the turns up to the first difference; it, and how many were played."""
    for number, step in enumerate(steps):
        if episode.outcome:
            said = f"the episode ended after {number} turns: {episode.outcome.name} {episode.outcome.detail}"
            ending = Difference(step=step.step_id, call=None, what="ending", recorded="another turn", got=said)
            return ending, number
        if step.tool_calls:
            episode.call([ToolCall(call.function_name, call.arguments) for call in step.tool_calls], step.message)
        else:
            episode.turn(step.message)
        if difference := comparison.step(step, recorder.trajectory.steps[-1]):
            return difference, number + 1
    return None, len(steps)


class _Comparison:
    """Compares, and counts what it let pass."""

    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self.ignored: Counter[str] = Counter()

    def step(self, recorded: Step, got: Step) -> Difference | None:
        """The first difference between two turns."""
        for what, number, old, new in (*_calls(recorded, got), *_observations(recorded, got)):
            if not self._same(old, new):
                return Difference(step=recorded.step_id, call=number, what=what, recorded=old, got=new)
        return None

    def ends(self, recorded: dict[str, Any], got: dict[str, Any], step: int) -> Difference | None:
        """The first difference between two ends."""
        for name in ("submission", "outcome", "detail", "reward"):
            if name == "submission" and name not in recorded:
                continue
            old, new = str(recorded.get(name)), str(got.get(name))
            if not self._same(old, new):
                what = "outcome" if name == "detail" else name
                return Difference(step=step, call=None, what=what, recorded=old, got=new)
        return None

    def _same(self, old: str, new: str) -> bool:
        if old == new:
            return True
        if self._exact:
            return False
        (old, kinds), (new, _) = stable(old), stable(new)
        if old == new:
            self.ignored.update(kinds)
        return old == new


def _calls(recorded: Step, got: Step) -> Iterator[tuple[str, int | None, str, str]]:
    for number, (old, new) in enumerate(zip_longest(recorded.tool_calls or [], got.tool_calls or []), 1):
        names = [f"{call.function_name} {call.arguments}" if call else "no call ran" for call in (old, new)]
        yield "calls", number, names[0], names[1]


def _observations(recorded: Step, got: Step) -> Iterator[tuple[str, int | None, str, str]]:
    pairs = zip_longest(*([*step.observation.results] if step.observation else [] for step in (recorded, got)))
    for number, (old, new) in enumerate(pairs, 1):
        texts = [(result.content or "") if result else "[nothing was shown]" for result in (old, new)]
        yield "observation", number if recorded.tool_calls else None, texts[0], texts[1]


def _rules(extra: dict[str, Any]) -> Rules:
    """The recorded rules; those that a newer version knows alone have their default."""
    given = extra.get("rules") or {}
    if not isinstance(given, dict) or (unknown := sorted(set(given) - {field.name for field in fields(Rules)})):
        wrong = unknown if isinstance(given, dict) else type(given).__name__
        raise BadInputError(f"the trajectory was recorded under rules that this version does not know: {wrong}")
    endless = {"time_limit": math.inf} if given.get("time_limit", 0) is None else {}
    return Rules(**{**given, **endless})


def _tripwires(extra: dict[str, Any]) -> Tripwires | None:
    """The recorded tokens; None where the episode had none."""
    given = extra.get("tripwires")
    if given is None:
        return None
    try:
        return Tripwires(**given)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"the trajectory's extra.tripwires are none: {error}") from None


def _notes(trajectory: Trajectory, prompt: str) -> tuple[str, ...]:
    extra = trajectory.extra or {}
    first = trajectory.steps[0] if trajectory.steps else None
    notes = {
        "the prompt is another one now": first is not None and first.message != prompt,
        "the recording holds no rules: replayed under the default ones": "rules" not in extra,
        "the recording has no end: compared as far as it goes": "outcome" not in extra,
    }
    return tuple(note for note, holds in notes.items() if holds)
