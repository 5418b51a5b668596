"""Certified tasks a minute on toolz, procedural candidates, three runs a state.

    python bench/validation.py [--candidates 40] [--workers 2]

The peer's figure is quoted, not run here: SWE-smith's own harness gave 22 a minute on the same project on two cores,
with one run a state.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from agent_env.sandbox.select import select_backend
from env_builder.build import BuildOptions, build_pool
from env_builder.repo_list import load_repo_list

PEER = 22.0


class Timer:
    """Notes when the validation of candidates began and ended."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def started(self, stage: str, total: int | None) -> None:
        """A stage began."""
        self.begun[stage] = time.monotonic()

    def advanced(self, stage: str, note: str = "") -> None:
        """Nothing."""

    def finished(self, stage: str) -> None:
        """A stage ended."""
        self.seconds[stage] = time.monotonic() - self.begun[stage]


def main() -> None:
    """Build a pool of procedural toolz tasks and print how long validation took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sandbox", default="bubblewrap")
    options = parser.parse_args()
    timer = Timer()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        report = build_pool(
            load_repo_list("pypi:toolz"),
            Path(folder) / "pool",
            backend=select_backend(options.sandbox),
            options=BuildOptions(
                strategies=("procedural",), limit_per_repo=options.candidates, workers=options.workers
            ),
            progress=timer,
        )
    seconds = timer.seconds["validate candidates"]
    rate = 60 * report.certified / seconds
    print(f"{report.certified} certified of {report.candidates} candidates, rejected {report.rejected}")
    print(f"validation {seconds:.1f} s, {options.workers} workers, load before {load:.1f}")
    print(
        f"{rate:.1f} certified tasks a minute with three runs a state; {rate / PEER:.2f} times SWE-smith's {PEER:.0f}"
    )
    print(json.dumps({"certified_per_minute": rate, "ratio": rate / PEER, "stages": timer.seconds}))


if __name__ == "__main__":
    main()
