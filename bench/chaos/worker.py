"""Plays episodes with faults, one line of JSON on standard output for each beginning and end."""

import argparse
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent_env.atif import Agent
from agent_env.episode import Episode, Rules
from agent_env.outcome import InfraFailed, Outcome
from agent_env.packages.service import PackageAccess
from agent_env.sandbox.base import Limits, Sandbox
from agent_env.sandbox.select import select_backend
from agent_env.scripted import oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import TrajectoryRecorder
from agent_env.workbench import Workbench
from bench.chaos.faults import COMMAND_SECONDS, POLICY_FAULTS, FailingSandbox, Plan, kill_later, plan
from tasks.errors import InfraError
from tasks.pool import Pool
from tasks.task import Task

LIMITS = Limits(memory_bytes=192 << 20, processes=64, file_bytes=64 << 20, disk_bytes=96 << 20, inodes=20_000)
RULES = Rules(max_steps=12, command_timeout=COMMAND_SECONDS)


class ChaosBench(Workbench):
    """A workbench whose agents' sandboxes are small, and fail by plan."""

    def __init__(self, pool: Pool, store: EnvironmentStore, planned: Plan) -> None:
        super().__init__(pool, store)
        self._planned = planned

    def open(self, task: Task, limits: Limits | None = None, *, packages: PackageAccess | None = None) -> Sandbox:
        """See ``Workbench.open``."""
        sandbox = super().open(task, limits or LIMITS, packages=packages)
        if self._planned.fault == "host kills the sandbox":
            kill_later(sandbox, self._planned.delay)
        if self._planned.fault == "input/output error":
            return FailingSandbox(sandbox, int(self._planned.delay * 4))  # type: ignore[return-value]
        return sandbox


def play(planned: Plan, pool: Pool, store: EnvironmentStore, folder: Path) -> None:
    """Play one episode and say so."""
    tasks = pool.tasks()
    task = tasks[planned.number % len(tasks)]
    bench = ChaosBench(pool, store, planned)
    recorder = TrajectoryRecorder(folder / str(planned.number), Agent(name="chaos", version="1"), task_id=task.id)
    episode = Episode(task, bench, RULES, recorder)
    since = time.monotonic()
    try:
        episode.start()
        say(planned, begun=str(recorder.path))
        outcome = _turns(planned, episode, oracle_actions(task, bench.build(task).tree), recorder.path.parent)
    except InfraError as error:
        outcome = episode.outcome or InfraFailed(str(error))
    facts = {"reward": outcome.reward, "masked": outcome.masked, "detail": outcome.detail[:300]}
    say(planned, since=since, ended=outcome.name, **facts)


def _turns(planned: Plan, episode: Episode, oracle: list[str], folder: Path) -> Outcome:
    if planned.fault == "trajectory folder lost":
        shutil.rmtree(folder)
        folder.write_text("in the way")
    command = POLICY_FAULTS.get(planned.fault, "ls -la; sleep 0.1; echo done")
    actions = [format_call(ToolCall("bash", {"command": command})), format_call(ToolCall("bash", {"command": "pwd"}))]
    actions += oracle if planned.solve else [format_call(ToolCall("submit", {}))] if planned.submit else []
    with episode:
        for action in actions:
            outcome = episode.turn(action).outcome
            if outcome:
                return outcome
    assert episode.outcome is not None
    return episode.outcome


def say(planned: Plan, **facts: object) -> None:
    """One line for the parent."""
    sys.stdout.write(
        json.dumps({"number": planned.number, "fault": planned.fault, "solve": planned.solve, **facts}) + "\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Read the numbers of episodes from standard input, and play them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    pool = Pool(options.pool)
    backend = select_backend(options.sandbox)
    backend.reap()
    store = EnvironmentStore(backend)
    with ThreadPoolExecutor(options.threads) as threads:
        plans = (plan(int(line), options.seed) for line in sys.stdin)
        list(threads.map(lambda planned: play(planned, pool, store, options.folder), plans))


if __name__ == "__main__":
    main()
