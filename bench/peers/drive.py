"""Drives one peer: ``python drive.py NAME episodes|life``, a job as JSON on standard input, times as JSON on the last
line of standard output. Runs in the peers' virtual environment.

An episode: start, the agent's commands, grading in the same container (hidden tests copied in, pytest's report read),
close. A life: start to the first result, single commands, close, which is over when the container is gone.
"""

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from machines import MACHINES, Machine

COMMANDS = 5
"""Commands of each kind in a life."""


def play(kind: type[Machine], episode: dict[str, Any], arguments: list[str]) -> tuple[float, bool, Machine]:
    """Seconds of one episode, whether every expected test passed, and what may still be stopping."""
    begun = time.perf_counter()
    machine = kind(episode["image"], [*arguments, *episode["arguments"]])
    machine.run("cd /testbed")
    for command in episode["commands"]:
        machine.run(command)
    machine.put(episode["tests"], "/tmp/tests.tar")
    report, _ = machine.run(episode["grade"])
    passed = {line.split(" ", 1)[1].strip() for line in report.splitlines() if line.startswith("PASSED ")}
    machine.close()
    return time.perf_counter() - begun, set(episode["expected"]) <= passed, machine


def episodes(kind: type[Machine], job: dict[str, Any]) -> dict[str, Any]:
    """Play ``job["episodes"]`` with ``job["workers"]`` side by side."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(job["workers"]) as pool:
        done = list(pool.map(lambda episode: play(kind, episode, job["arguments"]), job["episodes"]))
    wall = time.perf_counter() - begun
    for *_, machine in done:
        machine.wait_until_gone()
    return {"wall": wall, "seconds": [seconds for seconds, *_ in done], "solved": sum(solved for _, solved, _ in done)}


def life(kind: type[Machine], job: dict[str, Any]) -> dict[str, list[float]]:
    """One sandbox through its life: milliseconds of each step."""
    steps: dict[str, list[float]] = {}

    def clock(step: str, begun: float) -> None:
        steps.setdefault(step, []).append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    machine = kind(job["image"], job["arguments"])
    machine.run("echo ready")
    clock("start", begun)
    for step, command in (("command, builtin", "echo x"), ("command, process", "/bin/true")):
        for _ in range(COMMANDS):
            begun = time.perf_counter()
            machine.run(command)
            clock(step, begun)
    begun = time.perf_counter()
    machine.close()
    machine.wait_until_gone()
    clock("close", begun)
    return steps


def main() -> None:
    """See the module."""
    logging.disable(logging.CRITICAL)
    name, what = sys.argv[1:]
    work = {"episodes": episodes, "life": life}[what]
    kind = MACHINES[name]
    kind.load()
    print("\n" + json.dumps(work(kind, json.load(sys.stdin))))


if __name__ == "__main__":
    main()
