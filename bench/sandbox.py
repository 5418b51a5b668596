"""What sandboxes cost, beside Docker by hand and others' sandboxes: python bench/sandbox.py [--rounds N] [--peers]
(or --idle N, which measures what N idle ones take).

Prints the median (p50) in milliseconds of each step, and how many times faster than Docker by hand it is, all measured
in this one run and taken in turns, so that a busy machine is busy for all. Docker is left out where none answers.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from idle import measure_idle
from peers.install import BY_HAND, NAMES, PINS, Ground
from rich.console import Console
from rich.table import Table

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import SandboxBackend, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.base_image import BASE_IMAGE
from agent_env.sandbox.docker.client import docker_client

COMMANDS = 20
"""Commands of each kind that a round runs."""

Round = dict[str, list[float]]
"""Step to its times in milliseconds."""

FILES, LINES = 200, 50
"""Size of the tree that every sandbox stands on."""


def clock(work: Callable[[], object]) -> float:
    """Milliseconds that ``work`` takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def ours(backend: SandboxBackend, tree: Path, prepare: Callable[[], None] = lambda: None) -> Round:
    """One sandbox through its life; ``prepare`` comes before a start and before a reset, and does not count."""
    made = []

    def start() -> None:
        made.append(backend.create(SandboxSpec(layers=(tree,))))
        made[0].run("echo ready", timeout=30)

    def reset() -> None:
        box.reset()
        box.run("echo ready", timeout=30)

    prepare()
    round_: Round = {"start": [clock(start)]}
    box = made[0]
    round_["command, builtin"] = [clock(lambda: box.run("echo x", timeout=30)) for _ in range(COMMANDS)]
    round_["command, process"] = [clock(lambda: box.run("/bin/true", timeout=30)) for _ in range(COMMANDS)]
    box.run("echo change > f0.py; echo new > new.py", timeout=30)
    round_["changes"] = [clock(box.changes)]
    prepare()
    round_["reset"] = [clock(reset)]
    round_["close"] = [clock(box.close)]
    return round_


def await_ready(backend: DockerBackend) -> None:
    """Wait until a container stands ready, as it does between the steps of an agent; not for long where none comes
    (the first start of all, an ordinary user)."""
    for _ in range(200):
        if backend.ready():
            return
        time.sleep(0.01)


def by_hand(image: str, tree: Path) -> Round:
    """The same through the command line of Docker; its reset is a new container."""

    def docker(*arguments: str) -> str:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    def start() -> None:
        mount = f"{tree}:/testbed:ro"
        names.append(docker("run", "-d", "--network", "none", "--init", "-v", mount, image, "sleep", "infinity"))
        docker("exec", names[-1], "echo", "ready")

    def close() -> None:
        docker("rm", "-f", names[-1])

    names: list[str] = []
    round_: Round = {"start": [clock(start)]}
    shell = ("exec", names[0], "bash", "-c")
    round_["command, builtin"] = [clock(lambda: docker(*shell, "echo x")) for _ in range(3)]
    round_["command, process"] = [clock(lambda: docker(*shell, "/bin/true")) for _ in range(3)]
    round_["reset"] = [clock(lambda: (close(), start()))]
    round_["close"] = [clock(close)]
    return round_


def measure(subjects: dict[str, tuple[int, Callable[[], Round]]]) -> dict[str, Round]:
    """All rounds of all subjects, in turns; the first of each is a warm-up and left out."""
    results: dict[str, Round] = {name: {} for name in subjects}
    for number in range(max(rounds for rounds, _ in subjects.values()) + 1):
        for name, (rounds, work) in subjects.items():
            if number > rounds:
                continue
            for step, times in work().items():
                if number:
                    results[name].setdefault(step, []).extend(times)
    return results


def show(results: dict[str, Round]) -> None:
    """The table of medians and ratios."""
    mine = [name for name in results if name not in NAMES]
    table = Table("step, p50 in ms", *results, *(f"{name} is faster by" for name in mine))
    peer = results.get(BY_HAND, {})
    for step in next(iter(results.values())):
        medians = {name: statistics.median(times[step]) for name, times in results.items() if step in times}
        row = [f"{medians[name]:.2f}" if name in medians else "" for name in results]
        for name in mine:
            row.append(f"{statistics.median(peer[step]) / medians[name]:.0f}x" if step in peer else "")
        table.add_row(step, *row)
    Console(width=140).print(table)
    show_peers(results, [name for name in results if name in NAMES and name != BY_HAND])


def show_peers(results: dict[str, Round], peers: Sequence[str]) -> None:
    """The ratios to others' sandboxes, where they were measured."""
    for peer in peers:
        mine = [name for name in results if name not in NAMES]
        table = Table(f"step, beside {peer}", *(f"{name} is faster by" for name in mine))
        for step, times in results[peer].items():
            theirs = statistics.median(times)
            table.add_row(step, *(f"{theirs / statistics.median(results[name][step]):.0f}x" for name in mine))
        Console(width=140).print(table)


def peer_subjects(ground: Ground, tree: Path, rounds: int) -> dict[str, tuple[int, Callable[[], Round]]]:
    """Others' sandboxes on the same tree; they have no reset, and a close is over when the container is gone."""
    print(f"peers: {', '.join(PINS.read_text().split())}, on {ground.image}")

    def measure_one(name: str) -> Callable[[], Round]:
        job = {"image": ground.image, "arguments": ["-v", f"{tree}:/testbed", "-w", "/testbed"]}
        return lambda: ground.drive(name, "life", job)

    return {name: (rounds, measure_one(name)) for name in NAMES if name != BY_HAND}


def make_tree(root: Path) -> Path:
    """A source tree of ``FILES`` small files."""
    for number in range(FILES):
        (root / f"f{number}.py").write_text("x = 1\n" * LINES)
    root.chmod(0o755)
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="sandboxes of bubblewrap; Docker gets a fifth of it")
    parser.add_argument("--peers", action="store_true", help="SWE-ReX and mini-swe-agent too, installed in this run")
    parser.add_argument("--idle", type=int, default=0, help="what so many idle sandboxes take, and nothing else")
    options = parser.parse_args(arguments)
    rounds = options.rounds
    with ExitStack() as stack:
        tree = make_tree(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="repodojo-bench-"))))
        bubblewrap = BubblewrapBackend()
        if options.idle:
            return measure_idle(
                "sandboxes (bubblewrap)",
                lambda: bubblewrap.create(SandboxSpec(layers=(tree,))),
                lambda box: box.run("echo alive", timeout=30).output == "alive\n",
                options.idle,
            )
        subjects: dict[str, tuple[int, Callable[[], Round]]] = {"bubblewrap": (rounds, lambda: ours(bubblewrap, tree))}
        try:
            version = docker_client().version()["Version"]
        except BackendUnavailableError as error:
            print(f"without Docker: {error}")
        else:
            warm, cold = DockerBackend(), DockerBackend(warm=0)
            few = max(rounds // 5, 2)
            subjects["docker, warm"] = (few, lambda: ours(warm, tree, lambda: await_ready(warm)))
            subjects["docker, cold"] = (few, lambda: ours(cold, tree))
            subjects[BY_HAND] = (few, lambda: by_hand(BASE_IMAGE, tree))
            print(f"Docker Engine {version}, image {BASE_IMAGE}; by hand: docker run, docker exec, docker rm -f")
            if options.peers:
                subjects |= peer_subjects(stack.enter_context(Ground()), tree, min(few, 3))
        before = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {before:.1f}; a tree of {FILES} files; {rounds} rounds of bubblewrap")
        show(measure(subjects))
        print(f"load at the end {os.getloadavg()[0]:.1f}")
    return None


if __name__ == "__main__":
    main()
