"""Runs the calls of a recorded episode again, in a fresh sandbox under the recorded rules and with the recorded
tripwires, and finds the first difference. A turn that was never played, since its policy's context was full, is not
replayed either.

Compared are, of each turn, the calls that ran and what each showed; at the end the submitted diff, the outcome and the
reward. Texts are compared as they are, except for what ``agent_env.stable_text`` names, and the report counts each
place where that made a difference vanish. A prompt that differs is told but is no difference: it does not touch the
calls. A recording without an end (its process was killed) is compared as far as it goes. What began as a fork is forked
at the same place, so that it lacks the same: processes, functions, variables that are not exported.
"""

import difflib
import math
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
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
    comparison = _Comparison(exact=exact)
    with scratch("replay") as folder:
        recorder = TrajectoryRecorder(folder, Agent(name="replay", version="1"), task_id=task.id)
        episode = Episode(task, bench.wired_as(_tripwires(extra)), _rules(extra), recorder)
        with _Player(episode, _forks(extra)) as player:
            notes = _notes(trajectory, player.episode.start())
            steps = [step for step in trajectory.steps if step.source == "agent" and step.observation]
            difference, done = _replay_steps(steps, player, comparison)
            if extra.get("detail") == "context":
                player.episode.interrupt("context")  # the policy's own limit: no call leads to it
        if difference is None and "outcome" in extra:
            difference = comparison.ends(extra, player.recorded.extra or {}, trajectory.steps[-1].step_id)
    return ReplayReport(
        task_id=task.id,
        steps=done,
        calls=sum(len(step.tool_calls or []) for step in steps[:done]),
        difference=difference,
        notes=notes,
        ignored=dict(comparison.ignored),
    )


class _Player:
    """Plays the turns, in a fork of the episode from each place on where the recording went on in one.

    Args:
        forks: after which steps it did.
    """

    def __init__(self, episode: Episode, forks: Collection[int]) -> None:
        self.episode = episode
        self._forks = forks
        self._episodes = ExitStack()

    def __enter__(self) -> "_Player":
        self._episodes.enter_context(self.episode)
        return self

    def __exit__(self, *raised: object) -> None:
        self._episodes.close()

    @property
    def recorded(self) -> Trajectory:
        """What has been played."""
        assert self.episode.recorder is not None
        return self.episode.recorder.trajectory

    def play(self, step: Step) -> None:
        """Take the turn of a recorded step."""
        calls = [ToolCall(call.function_name, call.arguments) for call in step.tool_calls or ()]
        if step.step_id - 1 in self._forks:
            [fork] = self.episode.fork()
            self.episode = self._episodes.enter_context(fork)
        if calls or (step.extra or {}).get("native"):
            self.episode.call(calls, step.message)
        else:
            self.episode.turn(step.message)


def _replay_steps(steps: list[Step], player: _Player, comparison: "_Comparison") -> tuple[Difference | None, int]:
    """Play the turns up to the first difference; it, and how many were played."""
    for number, step in enumerate(steps):
        if outcome := player.episode.outcome:
            said = f"the episode ended after {number} turns: {outcome.name} {outcome.detail}"
            ending = Difference(step=step.step_id, call=None, what="ending", recorded="another turn", got=said)
            return ending, number
        player.play(step)
        if difference := comparison.step(step, player.recorded.steps[-1]):
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


def _forks(extra: dict[str, Any]) -> list[int]:
    """After which steps the recording went on in a fork."""
    given = extra.get("forked_after", [])
    if not isinstance(given, list):
        raise BadInputError(f"the trajectory's extra.forked_after is {given!r:.80}; expected a list of step ids")
    return given


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
