"""Workers, one after the other, that play the episodes and are ended on the way now and then."""

import argparse
import json
import math
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.chaos.judge import Strikes, Told, lost_trajectory, read, wrong_scores
from bench.chaos.leavings import ENDING_SECONDS, look
from bench.chaos.plan import plan
from bench.chaos.worker import INTERRUPTED
from tasks.pool import Pool

SETTLE_SECONDS = 5.0
"""After a restart, so long until what it broke must have shown."""

BATCH = 60
"""Episodes that a worker is given; about every second worker is ended on the way."""

ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
"""By what: the first without warning, the others in order."""


class Span(NamedTuple):
    """From when to when, by ``time.monotonic``, which all processes of a machine share."""

    begin: float
    end: float


class Run:
    """The episodes so far."""

    def __init__(self, options: argparse.Namespace, pool: Pool, folder: Path, outside: Mapping[str, str]) -> None:
        self.options, self.pool, self.folder = options, pool, folder
        self.outside = outside
        """The environment of the restart command: what it starts outlives the run, and is none of it."""
        self.begun: dict[int, Path] = {}
        self.ended: dict[int, Told] = {}
        self.owners: set[int] = set()
        """Process ids of the workers."""
        self.ends: Counter[str] = Counter()
        """How often a worker was ended by which signal."""
        self.failures: list[str] = []
        """Why workers ended that should not have, and what those left that ended in order."""
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
                done_with = subprocess.run(
                    self.options.restart, shell=True, check=False, stdout=subprocess.DEVNULL, env=self.outside
                )
                self.restarts[-1] = Span(begin, time.monotonic() + SETTLE_SECONDS)
                if done_with.returncode:
                    self.failures.append(f"the restart command failed with {done_with.returncode}")
                    return

    def strikes(self) -> Strikes:
        """What struck."""
        strikes = Strikes()
        for number, told in self.ended.items():
            strikes.add(plan(number, self.options.seed), told)
        return strikes

    def judge(self) -> dict[str, list[str]]:
        """What of the episodes is wrong, by kind."""
        lost, wrong = [], []
        paths = self.begun | {number: told.path for number, told in self.ended.items()}
        for number, path in paths.items():
            planned, told = plan(number, self.options.seed), self.ended.get(number)
            if why := lost_trajectory(planned, path, told, begun=number in self.begun):
                lost.append(f"{number} ({planned.fault}): {why}")
            if told:
                reasons = wrong_scores(planned, told, met_restart=self.met_restart(number))
                wrong += [f"{number}: {reason}: {planned} {told}" for reason in reasons]
        return {
            "lost trajectories": lost,
            "faults scored wrongly": wrong,
            "faults that never struck": self.strikes().never(),
            "failures of the run": [*self.failures, *self._not_done(self.options.episodes - len(paths))],
        }

    def _not_done(self, missing: int) -> Iterator[str]:
        """What was asked for and did not come about."""
        if missing:
            late = f": the {self.options.minutes:g} minutes were over" if self.is_late() else ""
            yield f"{missing} of {self.options.episodes} episodes were never played{late}"
        if self.options.restart and not self.restarts:
            yield f"no restart: {len(self.ended)} episodes ended, and one comes after {self.options.restart_every}"

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
        options = self.options
        command = [sys.executable, "-m", "bench.chaos.worker", str(self.pool.path), str(self.folder)]
        command += ["--sandbox", options.sandbox, "--seed", str(options.seed), "--threads", str(options.threads)]
        end = self._rng.choice(ENDS) if self._rng.random() < 0.5 else None
        strike = self._rng.randrange(1, len(numbers) + 1) if end else -1
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
                if seen == strike and end:
                    worker.send_signal(end)
                    self.ends[end.name] += 1
        restarted = self._restarted_since(begun)
        if end is not signal.SIGKILL and not (restarted and seen == 0):
            if worker.returncode not in ((0, INTERRUPTED) if end else (0,)):
                self.failures.append(f"a worker failed with {worker.returncode}: see above")
                return
            if not restarted:
                self._check_order(worker.pid, numbers)
        for number in numbers:
            if number not in self.begun and number not in self.ended:
                self.open.put(number)  # it never began: the end came first

    def _check_order(self, worker: int, numbers: list[int]) -> None:
        """A worker that was not killed leaves nothing, without any reaper, and no episode half way."""
        left = look({worker}, patience=ENDING_SECONDS, guarded=self.owners - {worker})
        for kind, found in left._asdict().items():
            self.failures += [f"an orderly end left one of {kind}: {item}" for item in found]
        half = [number for number in numbers if number in self.begun and number not in self.ended]
        if half:
            self.failures.append(f"an orderly end left episodes half way: {half}")

    def _hear(self, told: dict[str, Any]) -> None:
        number = told["number"]
        if "begun" in told:
            self.begun[number] = Path(told["begun"])
        else:
            self.ended[number] = read(told)
            self.played[number] = Span(told["since"], time.monotonic())

    def _restarted_since(self, begun: float) -> bool:
        return any(restart.end > begun for restart in self.restarts)
