"""One episode as a state machine, free of Gymnasium, so that every adapter drives the same one: start, turns, end.

    start() -> prompt ; turn(text) -> observation ... until an outcome ; close()

An episode ends in exactly one outcome. A submit is graded; a limit ends it ungraded with reward 0; what the policy
writes never raises, and comes back as an observation; a failing machine ends it as ``InfraFailed``. At the end, however
it comes, the sandbox is closed. The time limit counts the seconds that tools run, not the policy's thinking, so that a
slow sampler does not change outcomes; who wants the whole counted sets a ``deadline``.
"""

import copy
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from agent_env import given
from agent_env.atif import Metrics
from agent_env.errors import EpisodeError, SandboxError
from agent_env.outcome import InfraFailed, Limit, LimitStopped, Outcome, PolicyFault, Scored
from agent_env.prompt import render_prompt
from agent_env.rules import Rules
from agent_env.sandbox.base import Sandbox, Snapshot, StopCause
from agent_env.tools.calls import MAX_TURN_CHARS, CallFormatError, ToolCall, check_calls, recordable, require_json
from agent_env.tools.formats import FORMATS, choose_format, parse_calls
from agent_env.tools.observation import Observation, clip
from agent_env.tools.toolbox import Toolbox
from agent_env.trajectory import TrajectoryRecorder
from agent_env.watch import Watch
from agent_env.workbench import Workbench
from blockers.monitor.events import Event
from tasks.errors import BadInputError, InfraError, PatchError
from tasks.task import Task
from tasks.tree import Edits

if TYPE_CHECKING:
    from agent_env.packages.service import PackageAccess

_USED_UP = {
    StopCause.OUT_OF_MEMORY: "memory",
    StopCause.DISK_FULL: "room for files",
    StopCause.PROCESS_LIMIT: "processes",
}
"""What the policy has used up where its last command ended so."""

__all__ = ["Episode", "InfraFailed", "LimitStopped", "Outcome", "PolicyFault", "Rules", "Scored", "Turn"]


class Turn(NamedTuple):
    """What one turn gave."""

    observation: str
    outcome: Outcome | None
    """How the episode ended, or None while it goes on."""


class Episode:
    """One task, from its start state to one outcome. Several episodes may run in several threads; one takes one turn
    at a time.

    Args:
        task: what is to be solved.
        bench: where sandboxes come from and where work is graded.
        recorder: writes the trajectory, or None.
    """

    def __init__(
        self, task: Task, bench: Workbench, rules: Rules | None = None, recorder: TrajectoryRecorder | None = None
    ) -> None:
        self.task = task
        self.rules = rules or Rules()
        self.recorder = recorder
        self.outcome: Outcome | None = None
        self.steps = 0
        self.observations: tuple[Observation, ...] = ()
        """What each call of the last turn showed, before it was joined."""
        self.deadline = math.inf
        """By ``time.monotonic``: no call starts or runs on after it; the episode ends as ``LimitStopped("time")``."""
        self.transcript: list[tuple[str, str]] = []
        """Who said what, from the prompt on: ``user``, ``agent`` or ``tool``, and the text."""
        self.form = choose_format(self.rules.call_format)
        self.toolbox = Toolbox(
            command_timeout=self.rules.command_timeout,
            silence_timeout=self.rules.silence_timeout,
            chars=self.rules.observation_chars,
            shell_only=self.form.shell_only,
            submits_by_output=self.form.submits_by_output,
        )
        self._bench = bench
        self._watch: Watch | None = None
        self._sandbox: Sandbox | None = None
        self._packages: PackageAccess | None = None
        self._seconds = 0.0
        self._timeouts = 0
        self._last_stop: StopCause | None = None
        self._interrupted: Limit | None = None
        self._grading = False
        self._turning = threading.RLock()

    def __enter__(self) -> "Episode":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> str:
        """Open the sandbox on the start state and give the prompt.

        Raises:
            InfraError, OSError: the sandbox did not start, or the trajectory cannot be written; the outcome is
                ``InfraFailed``.
            BadInputError: the pool lacks what the task needs, or its environment cannot be built.
            EpisodeError: it was started before, or interrupted meanwhile.
        """
        with self._one_at_a_time():
            if self._sandbox or self.outcome:
                raise EpisodeError("the episode was started already: make a new one")
            with self._ends_on_error():
                self._packages = self._bench.packages(self.task) if self.rules.packages else None
                self._sandbox = self._bench.open(self.task, packages=self._packages)
                wires = self._bench.wires(self.task)
                self._watch = Watch(self._bench.watch_context(self.task), notes=self.rules.feedback, wires=wires)
                if self._interrupted:
                    self._end(LimitStopped(self._interrupted))
                    raise EpisodeError("the episode was ended while it started")
                prompt = render_prompt(
                    self.task,
                    self.toolbox,
                    self.form,
                    max_steps=self.rules.max_steps,
                    packages=self.rules.packages is not None,
                )
                self.transcript.append(("user", prompt))
                if self.recorder:
                    self.recorder.start(
                        prompt,
                        asdict(self.rules),
                        asdict(wires) if wires else None,
                        unblocked=self._bench.pool.unblocked,
                    )
            return prompt

    def turn(self, action: str) -> Turn:
        """Take what the policy wrote, run its calls, and give what they showed.

        Raises:
            EpisodeError: the episode has not begun or has ended, or another turn is still running.
            BadInputError: ``action`` is not text.
        """
        if not isinstance(action, str):
            raise BadInputError(f"an action is the policy's text (str); got {type(action).__name__}")
        return self._take(action, action, lambda: parse_calls(action, self.form))

    def call(self, calls: Sequence[ToolCall], said: str = "") -> Turn:
        """Take one turn whose calls are given as such, as clients with native tool calls have them; otherwise as
        ``turn``.

        Args:
            said: the policy's words beside them.

        Raises:
            EpisodeError: as for ``turn``.
            BadInputError: the arguments of a call are no JSON object.
        """
        for call in calls:
            require_json(call)
        shown = "\n".join(part for part in (said, FORMATS["hermes"].write(calls)) if part)
        return self._take(said, shown, lambda: check_calls(calls), native=calls)

    def _take(
        self, said: str, shown: str, read: Callable[[], list[ToolCall]], native: Sequence[ToolCall] | None = None
    ) -> Turn:
        """One turn.

        Args:
            said: the message for the trajectory.
            shown: the same for the transcript.
            read: gives the calls, or raises CallFormatError.
            native: the calls where they were given as such; None where they stand in the text.
        """
        said, shown = clip(said, MAX_TURN_CHARS), clip(shown, MAX_TURN_CHARS)  # what is longer is not read either
        with self._one_at_a_time():
            sandbox = self._require_running()
            with self._ends_on_error():
                played = self.steps
                try:
                    observation, outcome = self._play(sandbox, said, read, native)
                except (InfraError, OSError) as error:
                    observation, outcome = "[the sandbox failed]", self._blame(error)
                    if self.recorder and self.steps == played:
                        shown_alone = [Observation(observation)]
                        self.recorder.add_turn(said, recordable(native or ()), shown_alone, native=native is not None)
                self.transcript += [("agent", shown), ("tool", observation)]
                if outcome:
                    with suppress(InfraError, OSError):  # the outcome is InfraFailed then, and says why
                        self._end(outcome)
            return Turn(observation, self.outcome)

    def fork(self, count: int = 1) -> list["Episode"]:
        """Other episodes that go on from here, each in a sandbox of its own; this one goes on as before.

        What they share up to here: files, the shell's directory and exported variables, turns taken and seconds used,
        what was said, what can be undone, what the monitor saw; a trajectory of each says where it comes from. Not in
        them: processes, jobs, shell functions and options, variables that are not exported, /dev/shm, and what of the
        package index was used up.

        Args:
            count: how many.

        Raises:
            BadInputError: ``count`` is no whole number above 0.
            EpisodeError: as for ``turn``, or it was ended meanwhile.
            InfraError, OSError: the machine failed; there are no others, and this one goes on.
        """
        given.whole_number("count", count)
        with self._one_at_a_time(), ExitStack() as made:
            sandbox = self._require_running()
            try:
                snapshot = made.enter_context(closing(sandbox.snapshot()))
                twins = [made.enter_context(self._twin(snapshot)) for _ in range(count)]
            except (InfraError, OSError) as error:
                if not self._interrupted:
                    raise
                raise EpisodeError("the episode was ended while it forked") from error
            if self._interrupted:
                raise EpisodeError("the episode was ended while it forked")
            if self.recorder:
                for twin in twins:
                    twin.recorder = self.recorder.twin()
            made.pop_all()
            snapshot.close()
            return twins

    def _twin(self, snapshot: Snapshot) -> "Episode":
        twin = copy.copy(self)
        twin.recorder = None
        twin.transcript = [*self.transcript]
        twin.toolbox = copy.deepcopy(self.toolbox)
        twin._watch = self._watch.twin() if self._watch else None
        twin._turning = threading.RLock()
        twin._sandbox = None
        twin._packages = self._bench.packages(self.task) if self._packages else None
        with twin._ends_on_error():
            twin._sandbox = self._bench.fork(snapshot, packages=twin._packages)
        return twin

    def measure(self, metrics: Metrics) -> None:
        """Record what sampling the latest turn cost and gave, where a trajectory is written; also once the episode has
        ended.

        Raises:
            BadInputError: no turn has been taken.
            InfraError: the trajectory cannot be written.
        """
        with self._turning:
            if self.recorder:
                self.recorder.measure(metrics)

    def interrupt(self, limit: Limit = "abandoned", unplayed: str | None = None) -> None:
        """End the episode as ``LimitStopped(limit)``, from any thread; returns once nothing of it runs.

        The command of a running turn is killed, and the turn returns with that outcome. A grading that runs is waited
        for, and its outcome stands; so is the build of an environment. What has ended stays as it is.

        Args:
            unplayed: what the policy wrote last, where the limit cut it off; recorded, and not played.

        Raises:
            InfraError, OSError: it could not be cleared away or recorded; the outcome is ``InfraFailed``.
        """
        self._interrupted = self._interrupted or limit
        sandbox = self._sandbox
        if sandbox:
            sandbox.kill()
        with self._turning:
            if self._sandbox:
                if unplayed is not None:
                    self._record_unplayed(unplayed)
                self._end(LimitStopped(limit))

    def close(self) -> None:
        """Close the sandbox; an episode that has not ended is ``LimitStopped('abandoned')``. Safe to call twice, and
        while a turn runs: see ``interrupt``."""
        self.interrupt()

    @property
    def events(self) -> tuple[Event, ...]:
        """What the monitor saw so far; not for the policy."""
        return tuple(self._watch.events) if self._watch else ()

    def render(self) -> str:
        """The transcript as text."""
        return "\n\n".join(f"[{who}]\n{text}" for who, text in self.transcript)

    def _play(
        self, sandbox: Sandbox, said: str, read: Callable[[], list[ToolCall]], native: Sequence[ToolCall] | None
    ) -> tuple[str, Outcome | None]:
        self.observations = ()
        calls, observations = self._run_calls(sandbox, read)
        self.observations = tuple(observations)
        self.steps += 1
        if self.recorder:
            self.recorder.add_turn(
                said,
                calls or recordable(native or ()),  # those that were not run stand nowhere else
                observations,
                [event for event in self.events if event.turn == self.steps],
                packages=self._packages.new_requests() if self._packages else (),
                native=native is not None,
            )
        text = _join(calls, observations)
        if observations[-1].submitted and not self._interrupted:
            return text, self._grade(sandbox)
        limit = self._limit()
        return (f"{text}\n[the episode ends here: limit of {limit}]", LimitStopped(limit)) if limit else (text, None)

    def _record_unplayed(self, said: str) -> None:
        said = clip(said, MAX_TURN_CHARS)
        self.transcript.append(("agent", said))
        if self.recorder:
            with self._ends_on_error():
                self.recorder.add_turn(said, [], [])

    def _run_calls(
        self, sandbox: Sandbox, read: Callable[[], list[ToolCall]]
    ) -> tuple[list[ToolCall], list[Observation]]:
        """Run the calls of a turn until one submits or a limit is reached; the calls that ran, and what they showed."""
        if self._limit(between_calls=True):
            return [], [Observation("[too late: nothing was run]")]
        try:
            calls = read()
        except CallFormatError as error:
            return [], [Observation(f"Error: {error}")]
        observations: list[Observation] = []
        for call in calls:
            observations.append(self._run_call(sandbox, call))
            if observations[-1].submitted or self._limit(between_calls=True):
                break
        return calls[: len(observations)], observations

    def _run_call(self, sandbox: Sandbox, call: ToolCall) -> Observation:
        begun = time.monotonic()
        left = min(self.rules.time_limit - self._seconds, self.deadline - begun)
        self.toolbox.limit_time(max(min(self.rules.command_timeout, left), 0.0))
        observation = self.toolbox.execute(sandbox, call)
        self._seconds += time.monotonic() - begun
        if self.toolbox.runs_commands(call.name):
            self._last_stop = observation.stopped
            too_long = observation.stopped in (StopCause.TIMEOUT, StopCause.NO_OUTPUT)
            self._timeouts = self._timeouts + 1 if too_long else 0
        assert self._watch is not None
        return self._watch.see(call, observation, turn=self.steps + 1)

    def _limit(self, *, between_calls: bool = False) -> Limit | None:
        if self._interrupted:
            return self._interrupted
        if self._timeouts >= self.rules.timeouts_in_a_row:
            return "timeouts"
        if self._seconds >= self.rules.time_limit or time.monotonic() >= self.deadline:
            return "time"
        return "steps" if self.steps >= self.rules.max_steps and not between_calls else None

    def _grade(self, sandbox: Sandbox) -> Scored:
        """Stop the agent's sandbox, then grade what it changed elsewhere."""
        self._grading, self._last_stop = True, None  # what fails from here on is not the policy's doing
        sandbox.stop()
        changes = sandbox.changes()
        if self._watch:
            self._watch.see_work(changes, self._bench.start_reader(self.task), turn=self.steps)
        if self.recorder:
            self.recorder.submit(self._submission(changes))
        grade = self._bench.grade(self.task, changes)
        if self._watch:
            self._watch.see_grade(grade, turn=self.steps)
        expected = len(self.task.fail_to_pass) + len(self.task.pass_to_pass)
        return Scored(float(grade.reward), grade.reason, passed_share=grade.passed / expected)

    def _submission(self, changes: Edits) -> str:
        try:
            return self._bench.submission(self.task, changes)
        except PatchError as error:  # the grading has its own words for such files
            return f"[no diff can be made: {error}]"

    def _blame(self, error: BaseException) -> Outcome:
        """Whose fault it is that the sandbox failed, or that what it did could not be recorded."""
        if self._interrupted and not self._grading:  # a grading is waited for, and nobody but the machine breaks it
            return LimitStopped(self._interrupted)
        used_up = _USED_UP.get(self._last_stop) if self._last_stop else None
        if used_up and isinstance(error, SandboxError | OSError):
            # The error's own words hold process ids and folders: no two episodes would end with the same.
            return PolicyFault(f"used up the sandbox's {used_up}, after which it failed")
        return _infra_failed(error)

    def _end(self, outcome: Outcome) -> None:
        """End the episode; what cannot be cleared away or recorded makes ``InfraFailed`` of every outcome.

        Raises:
            InfraError, OSError: that happened.
        """
        if self.outcome:
            return  # a signal's handler closed the episode within the turn
        self.outcome = outcome
        try:
            self._clear_away()
        except (InfraError, OSError) as error:
            self.outcome = _infra_failed(error)
            raise
        finally:
            self._record_end(self.outcome)

    def _record_end(self, outcome: Outcome) -> None:
        if self.recorder:
            try:
                self.recorder.finish(outcome, self.events)
            except InfraError as error:
                self.outcome = _infra_failed(error)
                raise

    def _clear_away(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        packages, self._packages = self._packages, None
        try:
            if sandbox:
                sandbox.close()
        finally:
            if packages:
                packages.close()

    def _require_running(self) -> Sandbox:
        if self.outcome:
            raise EpisodeError(f"the episode has ended ({self.outcome.name}): reset, or make a new one, for another")
        if not self._sandbox:
            raise EpisodeError("the episode has not begun: call start() first")
        return self._sandbox

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._turning.acquire(blocking=False):
            raise EpisodeError("another turn of this episode is still running: one episode takes one turn at a time")
        try:
            yield
        finally:
            self._turning.release()

    @contextmanager
    def _ends_on_error(self) -> Iterator[None]:
        """Whatever raises, an interrupt too, ends the episode and closes its sandbox."""
        try:
            yield
        except BaseException as error:
            if not self.outcome:
                self._end(_infra_failed(error))
            raise


def _infra_failed(error: BaseException) -> InfraFailed:
    return InfraFailed(f"{type(error).__name__}: {error}")


def _join(calls: list[ToolCall], observations: list[Observation]) -> str:
    """The observations of a turn as one text; of several calls each says which it answers."""
    if len(observations) == 1:
        return observations[0].text
    return "\n".join(
        f"[{number} {call.name[:80]}]\n{observation.text}"
        for number, (call, observation) in enumerate(zip(calls, observations, strict=True), 1)
    )
