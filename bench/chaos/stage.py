"""Plays one episode as it is planned: the policy's commands, and the failures of the machine."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path

from agent_env.atif import Agent
from agent_env.episode import Episode, Rules
from agent_env.grading import Grade, grade
from agent_env.outcome import Outcome
from agent_env.packages.service import PackageAccess
from agent_env.sandbox.base import Limits, Sandbox
from agent_env.scripted import oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import TrajectoryRecorder
from agent_env.workbench import Workbench
from bench.chaos.plan import (
    BROKEN,
    BROKEN_END,
    BROKEN_GRADING,
    BROKEN_HOST,
    BROKEN_START,
    KILLED,
    KILLED_GRADING,
    LOST,
    Plan,
)
from bench.chaos.policy_faults import POLICY_FAULTS, WORK_SECONDS, Seen
from bench.chaos.strikes import BrokenSandbox, HostErrors, Kill, StruckBackend, disk_error
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import Edits

LIMITS = Limits(memory_bytes=192 << 20, processes=64, file_bytes=64 << 20, disk_bytes=96 << 20, inodes=20_000)
RULES = Rules(max_steps=12, command_timeout=WORK_SECONDS)

AGENT_SECONDS, GRADING_SECONDS = 0.15, 0.2
"""About what an agent's first command takes, and a run of the tests: a kill comes before that is over."""

FILE_CALLS = {
    BROKEN_START: {"bubblewrap": 125, "docker": 285},
    BROKEN_HOST: {"bubblewrap": 60, "docker": 200},
    BROKEN_END: {"bubblewrap": 3, "docker": 3},
}
"""About how many calls the host makes of its file system then, by backend; the broken one is one of them."""

PROBES_SHARE = 2
"""Where the work passes, the host makes so many times the calls while it grades."""

LOOK = "sleep 0.05; pwd"
"""The harmless command after a policy's: what that killed is dead by then."""

_GRADING = ("create", "write", "run")
"""What the host does with a sandbox that grades."""


class StruckBench(Workbench):
    """A workbench whose agents' sandboxes are small, and fail by plan; so do those that grade."""

    def __init__(self, pool: Pool, store: EnvironmentStore, planned: Plan) -> None:
        super().__init__(pool, store)
        self._planned = planned
        self._kills: list[Kill] = []
        self._broken: list[BrokenSandbox] = []
        self._was_struck = False

    def open(self, task: Task, limits: Limits | None = None, *, packages: PackageAccess | None = None) -> Sandbox:
        """See ``Workbench.open``."""
        sandbox = super().open(task, limits or LIMITS, packages=packages)
        planned = self._planned
        if planned.fault == KILLED:
            self._kills.append(Kill(sandbox, planned.when * AGENT_SECONDS, whole=planned.whole))
        if planned.fault == BROKEN:
            calls = 7 if planned.solve else 3 if planned.submit else 2  # as many as the turns make, one at the end
            self._broken.append(BrokenSandbox(sandbox, int(planned.when * calls), lasting=planned.whole))
            return self._broken[-1]  # type: ignore[return-value]
        return sandbox

    def grade(self, task: Task, changes: Edits) -> Grade:
        """See ``Workbench.grade``."""
        return grade(task, changes, self.build(task), StruckBackend(self.store.backend, self._strike_grading))

    def end(self) -> bool:
        """Strike no more; whether anything struck."""
        for kill in self._kills:
            kill.end()
        return self._was_struck or any(one.struck for one in (*self._kills, *self._broken))

    def _strike_grading(self, number: int, sandbox: Sandbox | None) -> None:
        planned = self._planned
        if number != int(planned.second):
            return
        if planned.fault == KILLED_GRADING and sandbox is not None:
            self._kills.append(Kill(sandbox, planned.when * GRADING_SECONDS, whole=planned.whole))
        if planned.fault == BROKEN_GRADING:
            call = _GRADING[int(planned.when * len(_GRADING))]
            if sandbox is None and call == "create":
                self._was_struck = True
                raise disk_error()
            if sandbox is not None and call != "create":
                setattr(sandbox, call, self._fail)

    def _fail(self, *_: object, **__: object) -> None:
        self._was_struck = True
        raise disk_error()


class Stage:
    """One episode.

    Args:
        folder: where its trajectory goes.
    """

    def __init__(self, planned: Plan, pool: Pool, store: EnvironmentStore, folder: Path) -> None:
        self.planned = planned
        tasks = pool.tasks()
        task = tasks[planned.number % len(tasks)]
        # A task of its own, so that its layer is made while the disk fails.
        self._task = task.model_copy(update={"id": f"{task.id}-{planned.number}"})
        self._bench = StruckBench(pool, store, planned)
        self.recorder = TrajectoryRecorder(folder, Agent(name="chaos", version="1"), task_id=task.id)
        self.episode = Episode(self._task, self._bench, RULES, self.recorder)
        self._struck = False
        if planned.fault == BROKEN_END:
            finish = self.recorder.finish

            def failing(*given: object) -> None:
                with self._host_errors:
                    finish(*given)  # type: ignore[arg-type]

            self.recorder.finish = failing  # type: ignore[method-assign, assignment]

    @cached_property
    def _host_errors(self) -> HostErrors:
        planned = self.planned
        calls = FILE_CALLS.get(planned.fault, {}).get(self._bench.store.backend.name, 0)
        share = PROBES_SHARE if planned.solve and planned.fault == BROKEN_HOST else 1
        return HostErrors(int(planned.when * calls * share))

    def start(self) -> None:
        """Start the episode; raises as it does."""
        with self._errors_if(BROKEN_START):
            self.episode.start()

    def play(self) -> Outcome:
        """Take all turns; raises as the episode does."""
        planned = self.planned
        if planned.fault == LOST:
            shutil.rmtree(self.recorder.path.parent)
            self.recorder.path.parent.write_text("in the way")
            self._struck = True
        with self.episode:
            self._harm()
            for action in self._rest():
                if self.episode.outcome:
                    break
                with self._errors_if(BROKEN_HOST, now="submit" in action):
                    self.episode.turn(action)
        assert self.episode.outcome is not None
        return self.episode.outcome

    def end(self) -> bool:
        """Strike no more; whether the fault struck."""
        return self._bench.end() or self._struck or self._host_errors.struck

    def _harm(self) -> None:
        """The first two turns."""
        fault = POLICY_FAULTS.get(self.planned.fault)
        command = fault.command if fault else "ls -la; sleep 0.1; echo done"
        results, refused = [], 0
        for text, seconds in ((command, fault.seconds if fault else WORK_SECONDS), (LOOK, WORK_SECONDS)):
            if self.episode.outcome:
                return
            self.episode.turn(format_call(ToolCall("bash", {"command": text, "timeout": seconds})))
            results += [observation.result for observation in self.episode.observations if observation.result]
            sandbox = self.episode._sandbox
            refused = max(refused, sandbox._refused_processes() if sandbox else 0)  # type: ignore[attr-defined]
        if fault and len(results) == 2:
            self._struck = fault.struck(Seen(*results, refused))

    def _rest(self) -> list[str]:
        if self.planned.solve:
            return oracle_actions(self._task, self._bench.build(self._task).tree)
        return [format_call(ToolCall("submit", {}))] if self.planned.submit else []

    def _errors_if(self, fault: str, *, now: bool = True) -> AbstractContextManager[object]:
        return self._host_errors if now and self.planned.fault == fault else nullcontext()
