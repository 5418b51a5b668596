"""Plays episodes with faults, one line of JSON on standard output for each beginning and end.

SIGTERM and SIGINT end it in order: what runs is interrupted, and nothing is left. It says nothing else of itself.
"""

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent_env.errors import EpisodeError
from agent_env.outcome import InfraFailed
from agent_env.sandbox.base import SandboxBackend
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from bench.chaos.plan import Plan, plan
from bench.chaos.stage import Stage
from bench.chaos.strikes import listen
from tasks.errors import InfraError
from tasks.pool import Pool

INTERRUPTED = 130
"""Exit status after SIGTERM or SIGINT."""


class Player:
    """Plays episodes, several at once."""

    def __init__(self, pool: Pool, backend: SandboxBackend, folder: Path) -> None:
        self._pool, self._store, self._folder = pool, EnvironmentStore(backend), folder
        self._playing: set[Stage] = set()
        self._lock = threading.Lock()
        self._is_ending = False

    def play_all(self, plans: Iterable[Plan], threads: int) -> bool:
        """Play them; False where a signal ended that early."""
        with ThreadPoolExecutor(threads) as executor:
            futures = [executor.submit(self._play, planned) for planned in plans]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                for future in futures:
                    future.cancel()
                self._interrupt()
                return False
        return True

    def _interrupt(self) -> None:
        with self._lock:
            self._is_ending = True
            playing = [*self._playing]
        for stage in playing:
            with contextlib.suppress(InfraError, OSError):  # told as the episode's outcome
                stage.episode.interrupt()

    def _play(self, planned: Plan) -> None:
        """Play one episode and say so."""
        stage = Stage(planned, self._pool, self._store, self._folder / str(planned.number))
        with self._lock:
            if self._is_ending:
                return
            self._playing.add(stage)
        path = str(stage.recorder.path)
        since = time.monotonic()
        try:
            stage.start()
            say(planned, begun=path)
            outcome = stage.play()
        except (InfraError, OSError) as error:
            outcome = stage.episode.outcome or InfraFailed(str(error))
        except EpisodeError as error:
            if not self._is_ending:
                raise
            outcome = stage.episode.outcome or InfraFailed(str(error))
        struck = stage.end()
        facts = {"reward": outcome.reward, "masked": outcome.masked, "detail": outcome.detail[:300], "struck": struck}
        say(planned, since=since, ended=outcome.name, path=path, cut=self._is_ending, **facts)
        with self._lock:
            self._playing.remove(stage)


def say(planned: Plan, **facts: object) -> None:
    """One line for the parent."""
    sys.stdout.write(
        json.dumps({"number": planned.number, "fault": planned.fault, "solve": planned.solve, **facts}) + "\n"
    )
    sys.stdout.flush()


def main() -> int:
    """Read the numbers of episodes from standard input, and play them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    backend = select_backend(options.sandbox)
    listen()
    plans = [plan(int(line), options.seed) for line in sys.stdin]
    is_whole = Player(Pool(options.pool), backend, options.folder).play_all(plans, options.threads)
    return 0 if is_whole else INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
