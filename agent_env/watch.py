"""The monitor at work in one episode: it sees each call with what it showed, keeps the events, and adds the notes."""

import copy
from collections.abc import Collection
from pathlib import PurePosixPath

from agent_env.grading import Grade
from agent_env.tools.calls import ToolCall
from agent_env.tools.observation import Observation
from blockers.monitor.classify import classify
from blockers.monitor.events import Event
from blockers.monitor.feedback import feedback
from blockers.monitor.hit import Context
from blockers.monitor.memory import Memory
from blockers.monitor.work import grade_events, work_events
from blockers.path_rules import top_names
from blockers.tripwires import Tripwires, call_trips, work_trips
from tasks.patch import Reader
from tasks.paths import PathKind, path_kind
from tasks.tree import Edits

_COMMON_FOLDERS = frozenset(
    {"src", "lib", "docs", "doc", "examples", "scripts", "tools", "bench", "benchmarks", "python"}
)


class Watch:
    """Events of one episode, in order.

    Args:
        context: what is known of the task.
        notes: whether blocked attempts get a note in the observation.
        wires: the decoys' tokens, or None where there are none.
    """

    def __init__(self, context: Context, *, notes: bool, wires: Tripwires | None = None) -> None:
        self.events: list[Event] = []
        self._context, self._notes, self._wires = context, notes, wires
        self._memory = Memory()

    def twin(self) -> "Watch":
        """Another that has seen the same, and goes on by itself."""
        twin = copy.copy(self)
        twin.events = [*self.events]
        twin._memory = copy.deepcopy(self._memory)
        return twin

    def see(self, call: ToolCall, observation: Observation, *, turn: int) -> Observation:
        """Record the events of one call; the observation comes back with its note, where there is one to add."""
        found = classify(
            call.name, call.arguments, observation.text, turn=turn, context=self._context, memory=self._memory
        )
        self.events += found
        if self._wires:
            self.events += call_trips(self._wires, call.arguments, observation.text, turn=turn)
        note = feedback(found) if self._notes else ""
        return observation._replace(text=f"{observation.text}\n{note}") if note else observation

    def see_work(self, changes: Edits, before: Reader, *, turn: int) -> None:
        """Record what the finished work itself holds and proves, and no call showed.

        Args:
            before: gives a file's content at the start.
        """
        seen = {event.vector for event in self.events}
        self.events += [event for event in work_events(changes, before, turn=turn) if event.vector not in seen]
        if self._wires:
            self.events += work_trips(self._wires, changes, turn=turn)

    def see_grade(self, grade: Grade, *, turn: int) -> None:
        """Record what the grader noticed."""
        self.events += grade_events(grade.reason, grade.left_out, turn=turn)


def source_packages(existing: Collection[str]) -> set[str]:
    """Names of the packages that a tree holds beside its tests, lower case."""
    source = [path for path in existing if path.endswith("/__init__.py") and path_kind(path) is PathKind.SOURCE]
    return {name.lower() for name in top_names(source) - _COMMON_FOLDERS}


def watch_context(repo: str, existing: Collection[str]) -> Context:
    """What the monitor may know of a task: the names of its project and the paths of its start state.

    Args:
        repo: the name of the repository.
        existing: paths of the start state.
    """
    names = {repo.lower(), PurePosixPath(repo).name.lower(), *source_packages(existing)}
    return Context(project=frozenset(name.replace("_", "-") for name in names) | names, existing=frozenset(existing))
