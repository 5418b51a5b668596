"""Scripted episodes a minute, grading included, beside the same through SWE-ReX, mini-swe-agent and Docker by hand.

    python bench/env.py [POOL] [--tasks 4] [--rounds 3] [--workers 2] [--without-peers]
    python bench/env.py [POOL] --idle N    what N live environments take that wait for their next call

An episode is twenty calls: look around, search, edit, compile, run a test file, submit; every subject runs the same
commands, in the same tree, with the same interpreter and packages, so many episodes side by side. Ours are stepped
through ``RepoDojo/SWE-v0`` and graded as always: fresh sandboxes, crossing, sentinels, oracle. The others are graded
in the two usual ways, hidden tests copied in and pytest's report read: in the same container, which whoever worked
there controls, and in a fresh one that gets the diff, as SWE-bench does it. The commands alone, with one run of the
tests, are what a sandbox without any costs would leave. Peers are installed and measured in this run.
Without POOL, a few tasks are made from toolz first.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from idle import measure_idle
from peers.install import NAMES, PINS, Ground
from peers.script import CALLS, LONGEST_PATCH, Script, make_script, start_tree
from rich.console import Console
from rich.table import Table

from agent_env.env import SWEEnv
from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import Sandbox
from agent_env.sandbox.docker.client import docker_client
from agent_env.sandbox.hostroot import base_variables
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.workbench import Workbench
from tasks.pool import Pool
from tasks.task import Task

_REPORT = "/tmp/report"
_ALONE = "the commands alone"


class Round(NamedTuple):
    """Some episodes of one subject."""

    wall: float
    """Seconds of all together."""
    seconds: list[float]
    """Seconds of each."""
    solved: int

    @property
    def per_minute(self) -> float:
        """Episodes a minute."""
        return 60 * len(self.seconds) / self.wall


def ours(env: SWEEnv, scripts: Sequence[Script], workers: int) -> Round:
    """The scripts as episodes of our environment."""

    def play(script: Script) -> tuple[float, float]:
        begun = time.perf_counter()
        with env.twin() as mine:
            mine.reset(options={"task_id": script.task.id})
            for command in script.commands:
                mine.step(format_call(ToolCall("bash", {"command": command})))
            _, reward, *_ = mine.step(format_call(ToolCall("submit")))
        return time.perf_counter() - begun, reward

    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(play, scripts))
    wall = time.perf_counter() - begun
    return Round(wall, [seconds for seconds, _ in done], sum(reward == 1 for _, reward in done))


def commands_alone(bench: Workbench, scripts: Sequence[Script], workers: int) -> Round:
    """The same commands and one run of the tests, each script as one command in a sandbox that stands already: what
    is left if starting, stopping, speaking to a sandbox and all checks were free."""

    def play(script: Script, sandbox: Sandbox) -> tuple[float, bool]:
        begun = time.perf_counter()
        sandbox.run("\n".join([*script.commands, f"({script.grade}) > {_REPORT}"]), timeout=300)
        seconds = time.perf_counter() - begun
        report = sandbox.read(_REPORT).decode()
        return seconds, set(script.expected) <= {line.partition(" ")[2] for line in report.splitlines()}

    with ExitStack() as stack:
        sandboxes = [stack.enter_context(closing(bench.open(script.task))) for script in scripts]
        for script, sandbox in zip(scripts, sandboxes, strict=True):
            sandbox.write("/tmp/tests.tar", script.tests)
        begun = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            done = list(pool.map(play, scripts, sandboxes))
        return Round(time.perf_counter() - begun, [seconds for seconds, _ in done], sum(solved for _, solved in done))


def peer_job(bench: Workbench, script: Script, image: str, tests: Path) -> dict[str, Any]:
    """One episode as ``drive.py`` wants it: what our sandbox mounts, the peer's container mounts too."""
    spec = bench.build(script.task).spec()
    variables = {"PATH": base_variables()["PATH"], "LANG": "C.UTF-8", **spec.variables}
    arguments = [part for mount in spec.mounts for part in ("-v", f"{mount.source}:{mount.target}:ro")]
    arguments += [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
    tests.write_bytes(script.tests)
    return {
        "image": image,
        "arguments": arguments,
        "commands": script.commands,
        "tests": str(tests),
        "grade": script.grade,
        "expected": script.expected,
    }


@contextmanager
def peers(bench: Workbench, scripts: Sequence[Script], workers: int) -> Iterator[dict[str, Callable[[], Round]]]:
    """The peers' rounds, for as long as their images last."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="repodojo-bench-")))
        ground = stack.enter_context(Ground())
        print(f"peers: {', '.join(PINS.read_text().split())}, on {ground.image}, the tree of each task on top")
        episodes = []
        for number, script in enumerate(scripts):
            image = ground.tree_image(start_tree(bench, script.task))
            episodes.append(peer_job(bench, script, image, folder / f"tests-{number}.tar"))
        job = {"episodes": episodes, "workers": workers}

        def measure(name: str, fresh: bool) -> Callable[[], Round]:
            return lambda: Round(**ground.drive(name, "episodes", {**job, "fresh": fresh}))

        yield {name + ", graded afresh" * fresh: measure(name, fresh) for fresh in (False, True) for name in NAMES}


def idle(env: SWEEnv, count: int) -> None:
    """What so many environments take whose episodes have begun; tasks in turns."""
    tasks = itertools.cycle([task.id for task in env.bench.pool.tasks()])

    def begin() -> SWEEnv:
        one = env.twin()
        one.reset(options={"task_id": next(tasks)})
        return one

    def answers(one: SWEEnv) -> bool:
        return "alive" in one.step(format_call(ToolCall("bash", {"command": "echo alive"})))[0]

    measure_idle("environments (bubblewrap)", begin, answers, count)


def open_pool(path: str | None, folder: str) -> Pool:
    """The pool that was named, or one made from toolz."""
    if path:
        return Pool(path)
    print("making a few tasks from toolz")
    command = [sys.executable, "-m", "repodojo", "build", "pypi:toolz", "--out", f"{folder}/pool"]
    options = ["--strategy", "procedural", "--limit", "10", "--max-tasks", "4"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parent.parent)
    return Pool(f"{folder}/pool")


def choose(pool: Pool, count: int) -> list[Task]:
    """Tasks of toolz whose solution a terminal can take, spread over the pool."""
    fitting = [task for task in pool.tasks() if task.repo == "toolz" and len(task.gold_patch) <= LONGEST_PATCH]
    if not fitting:
        sys.exit(f"{pool.path} holds no task of toolz with a gold patch of at most {LONGEST_PATCH} bytes")
    return fitting[:: max(len(fitting) // count, 1)][:count]


def show(rounds: dict[str, list[Round]]) -> None:
    """The table: medians over the rounds, and how many times as fast as each of the others ours are."""
    ours_ = [name for name in rounds if name in ("bubblewrap", "docker")]
    table = Table("subject", "episodes/min", "s an episode, p50", "solved", *(f"{name} is faster by" for name in ours_))
    speed = {name: statistics.median(one.per_minute for one in some) for name, some in rounds.items()}
    for name, some in rounds.items():
        seconds = [second for one in some for second in one.seconds]
        solved = f"{sum(one.solved for one in some)} of {len(seconds)}"
        ratios = (f"{speed[mine] / speed[name]:.1f}x" if name != mine else "" for mine in ours_)
        table.add_row(name, f"{speed[name]:.1f}", f"{statistics.median(seconds):.2f}", solved, *ratios)
    Console(width=140).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", nargs="?")
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="beside one to warm up")
    parser.add_argument("--workers", type=int, default=2, help="episodes side by side")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--idle", type=int, default=0, help="live environments to measure, and nothing else")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        pool = open_pool(options.pool, stack.enter_context(tempfile.TemporaryDirectory(prefix="repodojo-bench-")))
        env = SWEEnv(pool=pool, store=EnvironmentStore(select_backend("bubblewrap")))
        if options.idle:
            return idle(env, options.idle)
        scripts = [make_script(env.bench, task) for task in choose(pool, options.tasks)]
        subjects: dict[str, Callable[[], Round]] = {
            "bubblewrap": lambda: ours(env, scripts * 3, options.workers),
            _ALONE: lambda: commands_alone(env.bench, scripts * 3, options.workers),
        }
        try:
            docker_client()
        except BackendUnavailableError as error:
            print(f"without Docker and peers: {error}")
        else:
            contained = SWEEnv(pool=pool, store=EnvironmentStore(select_backend("docker")))
            subjects["docker"] = lambda: ours(contained, scripts, options.workers)
            if not options.without_peers:
                subjects |= stack.enter_context(peers(env.bench, scripts, options.workers))
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {CALLS} calls an episode, {len(scripts)} tasks, "
        )
        print(f"{options.workers} episodes side by side, {options.rounds} rounds taken in turns; each call, as:")
        print("  " + "\n  ".join(scripts[0].commands) + f"\nothers' grading: {scripts[0].grade}")
        rounds: dict[str, list[Round]] = {name: [] for name in subjects}
        for number in range(options.rounds + 1):
            for name, work in subjects.items():
                one = work()
                if number:
                    rounds[name].append(one)
        show(rounds)
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
