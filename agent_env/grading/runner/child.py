"""The tests' process: pytest with a pinned command line, which reports each test on a pipe as a line of JSON.

Gets its request on standard input: ``arguments`` for pytest, ``ids`` to keep (null: all), ``order_seed`` (null: as
found).
"""

import gc
import json
import os
import random
import sys
from typing import Any

DETAIL = 8000
"""Longest text of one failure, in characters."""


class Reporter:
    """A pytest plugin: selects and orders the tests, and writes what became of each."""

    def __init__(self, descriptor: int, ids: "list[str] | None", order_seed: "int | None") -> None:
        self._pipe = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        self._ids = None if ids is None else set(ids)
        self._order_seed = order_seed
        self._phases: dict[str, list[Any]] = {}

    def pytest_collection_modifyitems(self, config: Any, items: "list[Any]") -> None:
        """Keep the wanted tests; shuffle files, and the tests within each file, under the seed."""
        if self._ids is not None:
            unwanted = [item for item in items if item.nodeid not in self._ids]
            config.hook.pytest_deselected(items=unwanted)
            items[:] = [item for item in items if item.nodeid in self._ids]
        if self._order_seed is not None:
            shuffle(items, random.Random(self._order_seed))

    def pytest_collection_finish(self) -> None:
        """What is loaded by now stays: later garbage collections need not look at it."""
        gc.freeze()

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be collected."""
        if report.failed:
            self._write(report.nodeid, "collect_error", 0.0, report.longreprtext)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """One phase of a test; after the last, the test's status."""
        phases = self._phases.setdefault(report.nodeid, [])
        phases.append(report)
        if report.when == "teardown":
            del self._phases[report.nodeid]
            status, detail = settle(phases)
            self._write(report.nodeid, status, sum(phase.duration for phase in phases), detail)

    def pytest_unconfigure(self) -> None:
        """The end: nothing is held back."""
        self._pipe.flush()

    def _write(self, test_id: str, status: str, seconds: float, detail: str) -> None:
        self._pipe.write(json.dumps([test_id, status, round(seconds, 4), detail[-DETAIL:]]) + "\n")


def shuffle(items: "list[Any]", rng: random.Random) -> None:
    """Shuffle files and tests within files, so that what a module sets up is set up once."""
    files: dict[str, list[Any]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    names = sorted(files)
    rng.shuffle(names)
    for name in names:
        rng.shuffle(files[name])
    items[:] = [item for name in names for item in files[name]]


def settle(phases: "list[Any]") -> "tuple[str, str]":
    """The status of a test, and the text of its failure, from the reports of its phases."""
    for phase in phases:
        if phase.failed:
            return ("failed" if phase.when == "call" else "error"), phase.longreprtext
    for phase in phases:
        if hasattr(phase, "wasxfail"):
            return ("xfailed" if phase.skipped else "xpassed"), ""
        if phase.skipped:
            return "skipped", ""
    return ("passed", "") if any(phase.when == "call" for phase in phases) else ("error", "it never ran")


def main() -> int:
    """Run pytest as asked."""
    descriptor = int(sys.argv[1])
    request = json.load(sys.stdin)
    os.set_inheritable(descriptor, False)
    with open(os.devnull) as empty:
        os.dup2(empty.fileno(), 0)
    sys.path = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    sys.argv = ["pytest", *request["arguments"]]
    import pytest

    return int(pytest.main(request["arguments"], [Reporter(descriptor, request["ids"], request["order_seed"])]))


if __name__ == "__main__":
    sys.exit(main())
