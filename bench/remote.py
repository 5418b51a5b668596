"""What a served pool costs beside the same environment in process: python bench/remote.py POOL [--sessions 64]

Prints sessions a second (connect and reset, all at once), and the median and 95th percentile of a step that runs
`true`, over the network with all sessions stepping together, with one alone, and in process, measured in this one run.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import gymnasium
from rich.console import Console
from rich.table import Table

from agent_env.env import SWEEnv
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.server import EnvServer, ServeOptions
from agent_env.tools import ToolCall, format_call

STEP = format_call(ToolCall("bash", {"command": "/bin/true"}))

Env = gymnasium.Env[str, str]


def steps(env: Env, count: int) -> list[float]:
    """Milliseconds of each of so many steps, none of which may end the episode."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        *_, info = env.step(STEP)
        times.append((time.perf_counter() - begun) * 1000)
        if info["outcome"]:  # a step that fails is a fast one
            raise RuntimeError(f"an episode ended: {info}")
    return times


def together(envs: Sequence[Env], count: int) -> tuple[float, list[float]]:
    """Seconds until all have reset, then milliseconds of their steps, each in a thread of its own."""
    with ThreadPoolExecutor(len(envs)) as pool:
        begun = time.perf_counter()
        list(pool.map(lambda pair: pair[1].reset(seed=pair[0]), enumerate(envs)))
        seconds = time.perf_counter() - begun
        times = [ms for found in pool.map(lambda env: steps(env, count), envs) for ms in found]
    for env in envs:
        env.close()
    return seconds, times


def main() -> None:
    """Serve a pool in this process and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    env = SWEEnv(pool=options.pool, max_steps=options.steps + 1)
    for task in {task.environment_id: task for task in env.tasks}.values():
        env.bench.build(task)
    server = EnvServer(env, ServeOptions(port=0, max_sessions=options.sessions))
    thread = threading.Thread(target=server.serve)
    thread.start()
    while not server.is_ready:
        time.sleep(0.01)
    try:
        together([env.twin() for _ in range(options.sessions)], 1)  # a warm-up
        rows = {
            f"{options.sessions} in process": together([env.twin() for _ in range(options.sessions)], options.steps),
            f"{options.sessions} remote": together(
                [RemoteSWEEnv(server.url) for _ in range(options.sessions)], options.steps
            ),
            "1 in process": together([env.twin()], options.steps),
            "1 remote": together([RemoteSWEEnv(server.url)], options.steps),
        }
    finally:
        server.stop()
        thread.join()
    table = Table("sessions", "sessions/s", "step p50, ms", "step p95, ms")
    for name, (seconds, times) in rows.items():
        count = int(name.split()[0])
        p95 = statistics.quantiles(times, n=20)[-1]
        table.add_row(name, f"{count / seconds:.1f}", f"{statistics.median(times):.2f}", f"{p95:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
