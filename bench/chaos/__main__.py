"""Runs episodes with faults put in and ends by saying what they left behind: python -m bench.chaos [--episodes N]

Workers play the episodes and are themselves ended now and then: without warning (SIGKILL), or in order (SIGTERM,
SIGINT). With ``--restart`` the command given (say, one that restarts Docker Engine) runs now and then as well. Exits 1
unless all episodes were played and there was a restart where one was asked for; after one more start, and the time that
Docker guards take, nothing is left (no process, container, mount, control group or folder); what ended in order left
nothing before that; no trajectory is lost, no fault was scored, masked or blamed as it must not be, and each kind of
fault that was planned often enough did strike.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from bench.chaos.leavings import GUARD_SECONDS, look, strays
from bench.chaos.project import small_pool
from bench.chaos.run import Run


def main() -> int:
    """Run, count, say."""
    options = _read_options()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        outside = dict(os.environ)
        _keep_apart(Path(name))
        run = Run(options, small_pool(Path(name), options.sandbox), Path(name) / "trajectories", outside)
        _play(run, begun)
        EnvironmentStore(select_backend(options.sandbox))  # one more start: what the killed left goes
        faults = {
            **look(run.owners, patience=GUARD_SECONDS)._asdict(),
            "other temporary files": strays(),
            **run.judge(),
        }
    _report(run)
    for kind, found in faults.items():
        print(f"{len(found)} {kind}" + "".join(f"\n    {item}" for item in found[:10]))
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if any(faults.values()) else 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--minutes", type=float, default=120, help="begin no episode after so long")
    parser.add_argument("--threads", type=int, default=6, help="episodes at once: most of them wait")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--restart", default="", help="shell command that restarts what the sandboxes need")
    parser.add_argument("--restart-every", type=int, default=300, help="after so many episodes")
    return parser.parse_args()


def _keep_apart(folder: Path) -> None:
    """Give this process and its workers a cache and a place for temporary files of their own: each episode makes a
    layer, and whatever stays in either is theirs."""
    for variable, place in (("REPODOJO_HOME", "home"), ("TMPDIR", "tmp")):
        (folder / place).mkdir()
        os.environ[variable] = str(folder / place)
    tempfile.tempdir = str(folder / "tmp")


def _play(run: Run, begun: float) -> None:
    worker = threading.Thread(target=run.work)
    done = threading.Event()
    restarter = threading.Thread(target=run.restart_now_and_then, args=(done,))
    for thread in [worker, *([restarter] if run.options.restart else [])]:
        thread.start()
    while worker.is_alive():
        worker.join(10)
        print(f"{len(run.ended)} of {run.options.episodes} episodes, {time.monotonic() - begun:.0f} s", flush=True)
    done.set()
    if run.options.restart:
        restarter.join()


def _report(run: Run) -> None:
    outcomes = Counter(told.ended for told in run.ended.values())
    rewards = sum(told.reward for told in run.ended.values())
    print(f"{len(run.ended)} episodes ended {dict(outcomes)}, {rewards:.0f} of them with reward 1")
    cut = len(run.begun.keys() - run.ended.keys())
    interrupted = sum(told.cut for told in run.ended.values())
    print(f"workers ended by {dict(run.ends)}: {cut} episodes cut short, {interrupted} interrupted in order")
    print(f"{len(run.restarts)} restarts, met by {sum(run.met_restart(number) for number in run.ended)}")
    print(run.strikes().table())


if __name__ == "__main__":
    sys.exit(main())
