"""Runs episodes with faults put in and ends by saying what they left behind: python -m bench.chaos [--episodes N]

Workers play the episodes and are themselves killed now and then, without warning (SIGKILL). With ``--restart`` the
command given (say, one that restarts Docker Engine) runs now and then as well. Exits 1 unless, after one more start,
nothing is left: no process, container, mount, control group or folder, no trajectory lost, no fault scored as a reward.
"""

import argparse
import json
import math
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from agent_env.sandbox.select import select_backend
from agent_env.trajectory import read_trajectory
from bench.chaos.leavings import look
from bench.chaos.project import small_pool
from bench.chaos.worker import plan
from tasks.errors import BadInputError
from tasks.pool import Pool

SETTLE_SECONDS = 5.0
"""After a restart, so long until what it broke must have shown."""

BATCH = 60
"""Episodes that a worker is given; about every second worker is killed on the way."""


class Span(NamedTuple):
    """From when to when, by ``time.monotonic``, which all processes of a machine share."""

    begin: float
    end: float


class Run:
    """The episodes so far."""

    def __init__(self, options: argparse.Namespace, pool: Pool, folder: Path) -> None:
        self.options, self.pool, self.folder = options, pool, folder
        self.begun: dict[int, Path] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.owners: set[int] = set()
        """Process ids of the workers."""
        self.kills = 0
        self.failures: list[str] = []
        """Why workers ended that should not have."""
        self.played: dict[int, Span] = {}
        """When each episode began to be played, and ended, by what its worker said."""
        self.restarts: list[Span] = []
        self.open: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._until = time.monotonic() + 60 * options.minutes
        self._rng = random.Random(options.seed)
        for number in range(options.episodes):
            self.open.put(number)

    def work(self) -> None:
        """Start workers, one after the other, until no episode is left. Runs in a thread."""
        while numbers := self._take():
            self._worker(numbers)

    def is_late(self) -> bool:
        """Whether no more episode may begin."""
        return time.monotonic() > self._until

    def _take(self) -> list[int]:
        taken: list[int] = []
        if self.is_late():
            return taken
        while len(taken) < BATCH and not self.open.empty():
            try:
                taken.append(self.open.get_nowait())
            except queue.Empty:
                break
        return taken

    def _worker(self, numbers: list[int]) -> None:
        command = [sys.executable, "-m", "bench.chaos.worker", str(self.pool.path), str(self.folder)]
        command += [
            "--sandbox",
            self.options.sandbox,
            "--seed",
            str(self.options.seed),
            "--threads",
            str(self.options.threads),
        ]
        victim = self._rng.random() < 0.5
        strike = self._rng.randrange(1, len(numbers)) if victim else -1
        seen, begun = 0, time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            self.owners.add(worker.pid)
            assert worker.stdin
            assert worker.stdout
            worker.stdin.write("".join(f"{number}\n" for number in numbers))
            worker.stdin.close()
            for line in worker.stdout:
                self._hear(json.loads(line))
                seen += 1
                if seen == strike:
                    worker.kill()
                    self.kills += 1
        if worker.returncode and not victim and not (seen == 0 and self._restarted_since(begun)):
            self.failures.append(f"a worker failed with {worker.returncode}: see above")
            return
        for number in numbers:
            if number not in self.begun and number not in self.ended:
                self.open.put(number)  # it never began: the kill came first

    def _hear(self, told: dict[str, Any]) -> None:
        number = told["number"]
        if "begun" in told:
            self.begun[number] = Path(told["begun"])
        else:
            self.ended[number] = told
            self.played[number] = Span(told["since"], time.monotonic())

    def _restarted_since(self, begun: float) -> bool:
        return any(restart.end > begun for restart in self.restarts)

    def met_restart(self, number: int) -> bool:
        """Whether what the sandboxes need was being restarted at some time of an ended episode."""
        played = self.played[number]
        return any(restart.begin < played.end and played.begin < restart.end for restart in self.restarts)

    def restart_now_and_then(self, done: threading.Event) -> None:
        """Run the restart command about once in so many episodes. Runs in a thread."""
        wanted = self.options.restart_every
        while not done.wait(0.2):
            if len(self.ended) >= wanted:
                wanted += self.options.restart_every
                begin = time.monotonic()
                self.restarts.append(Span(begin, math.inf))
                done_with = subprocess.run(self.options.restart, shell=True, check=False, stdout=subprocess.DEVNULL)
                self.restarts[-1] = Span(begin, time.monotonic() + SETTLE_SECONDS)
                if done_with.returncode:
                    self.failures.append(f"the restart command failed with {done_with.returncode}")
                    return


def judge(run: Run) -> dict[str, Any]:
    """What of the episodes is wrong, by kind."""
    lost, wrong = [], []
    for number, path in run.begun.items():
        told = run.ended.get(number)
        if plan(number, run.options.seed).fault == "trajectory folder lost":
            continue  # that is the fault: it must be told as one, below
        try:
            extra = read_trajectory(path).extra or {}
        except BadInputError as error:
            lost.append(f"{number}: {error}")
            continue
        if told and (extra.get("outcome"), extra.get("reward")) != (told["ended"], told["reward"]):
            lost.append(f"{number}: the file says {extra.get('outcome')}, the episode {told['ended']}")
    for number, told in run.ended.items():
        planned = plan(number, run.options.seed)
        if told["reward"] and (told["masked"] or not planned.solve):
            wrong.append(f"{number}: {told}")
        if planned.fault == "trajectory folder lost" and not told["masked"]:
            wrong.append(f"{number}: {told}")
        if not planned.by_machine and told["masked"] and not run.met_restart(number):
            wrong.append(f"{number}: the policy's own fault is masked: {told}")
    return {"lost trajectories": lost, "faults scored wrongly": wrong, "failures of the run": failures_of(run)}


def failures_of(run: Run) -> list[str]:
    """Why the run itself counts for nothing, if it does."""
    missing = run.options.episodes - len(run.ended.keys() | run.begun.keys())
    if missing and not run.is_late():
        return [*run.failures, f"{missing} episodes were never played"]
    return run.failures


def _by_fault(run: Run) -> Counter[str]:
    return Counter(told["fault"] for told in run.ended.values())


def main() -> int:
    """Run, count, say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--minutes", type=float, default=120, help="begin no episode after so long")
    parser.add_argument("--threads", type=int, default=6, help="episodes at once: most of them wait")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--restart", default="", help="shell command that restarts what the sandboxes need")
    parser.add_argument("--restart-every", type=int, default=300, help="after so many episodes")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        pool = small_pool(Path(name), options.sandbox)
        run = Run(options, pool, Path(name) / "trajectories")
        worker = threading.Thread(target=run.work)
        done = threading.Event()
        restarter = threading.Thread(target=run.restart_now_and_then, args=(done,))
        for thread in [worker, *([restarter] if options.restart else [])]:
            thread.start()
        while worker.is_alive():
            worker.join(10)
            print(f"{len(run.ended)} of {options.episodes} episodes, {time.monotonic() - begun:.0f} s", flush=True)
        done.set()
        if options.restart:
            restarter.join()
        reaped = select_backend(options.sandbox).reap()
        faults = {**look(run.owners)._asdict(), **judge(run)}
    outcomes = Counter(told["ended"] for told in run.ended.values())
    rewards = sum(told["reward"] for told in run.ended.values())
    cut = len(run.begun.keys() - run.ended.keys())
    print(
        f"{len(run.ended)} episodes ended {dict(outcomes)}, {rewards:.0f} of them with reward 1 (solved and submitted)"
    )
    hit = sum(run.met_restart(number) for number in run.ended)
    print(f"{run.kills} workers killed, which cut {cut} episodes short; {len(run.restarts)} restarts, met by {hit}")
    print("by fault: " + ", ".join(f"{fault} {count}" for fault, count in sorted(_by_fault(run).items())))
    print(f"{reaped} reaped at last")
    for kind, found in faults.items():
        print(f"{len(found)} {kind}" + "".join(f"\n    {item}" for item in found[:10]))
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
