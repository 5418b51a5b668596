"""Drives one peer: ``python drive.py NAME episodes|life``, a job as JSON on standard input, times as JSON on the last
line of standard output. Runs in the peers' virtual environment.

An episode: start, the agent's commands, grading (hidden tests copied in, pytest's report read), close; graded in the
same container, or, as SWE-bench does it, in a fresh one that gets the agent's diff. A life: start to the first result,
single commands, close, which is over when the container is gone.
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


def play(
    kind: type[Machine], episode: dict[str, Any], arguments: list[str], fresh: bool
) -> tuple[float, bool, list[Machine]]:
    """Seconds of one episode, whether every expected test passed, and what may still be stopping."""
    begun = time.perf_counter()
    given = [*arguments, *episode["arguments"]]
    machines = [kind(episode["image"], given)]
    machines[0].run("cd /testbed")
    for command in episode["commands"]:
        machines[0].run(command)
    if fresh:
        work, _ = machines[0].run("git diff | base64 -w 0")
        machines[0].close()
        machines.append(kind(episode["image"], given))
        machines[1].run(f"cd /testbed && echo {work.strip()} | base64 -d | git apply")
    machines[-1].put(episode["tests"], "/tmp/tests.tar")
    report, _ = machines[-1].run(episode["grade"])
    passed = {line.split(" ", 1)[1].strip() for line in report.splitlines() if line.startswith("PASSED ")}
    machines[-1].close()
    return time.perf_counter() - begun, set(episode["expected"]) <= passed, machines


def episodes(kind: type[Machine], job: dict[str, Any]) -> dict[str, Any]:
    """Play ``job["episodes"]`` with ``job["workers"]`` side by side, graded in fresh containers if ``job["fresh"]``."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(job["workers"]) as pool:
        done = list(pool.map(lambda episode: play(kind, episode, job["arguments"], job["fresh"]), job["episodes"]))
    wall = time.perf_counter() - begun
    for *_, machines in done:
        for machine in machines:
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
