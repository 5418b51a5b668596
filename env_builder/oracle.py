"""The oracle of a task: which of its hidden tests can be taken apart, and what the solution computes there.

Expected values come from the solution itself: a recording program reports each value and the expected one, and a place
is kept where both are plain data and agree. Then the probe programs, which do not hold the expected values, run on the
solution, each time in a fresh sandbox and another order; a test whose probes do not give the same again is left out. At
last they run on the start state, which tells whether they see the bug.
"""

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from agent_env.grading.probes import Call, check_oracle, run_probes
from agent_env.grading.states import attempt_edits, gold_edits, graded_edits
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.oracle import Derived, NotPlainError, Report, decode_plain, derive_probes, is_met, wrong_value
from tasks.oracle import Oracle, Probe, ProbeProgram, Slot
from tasks.patch import Reader, reader
from tasks.record import digest_json
from tasks.task import Task
from tasks.tree import Edits, tree_digest

GOLD_RUNS = 2
"""Runs of the probe programs on the solution, after the recording one."""

MOST_SOURCE = 300_000
"""Characters of all programs of a task; files that no longer fit are left out."""

_Place = tuple[str, tuple[int, int]]


class Contradicted(NamedTuple):
    """The assertion of an impossible twin that no solution meets."""

    test: str
    """Id of its test."""
    path: str
    place: tuple[int, int]
    """Line and column of the statement."""


class Recorded(NamedTuple):
    """What one recording run left to be desired, and what it gave."""

    failed: set[str]
    """Tests that did not run to their end."""
    useless: set[_Place]
    """Assertions whose sides are not both plain data, or do not agree as such."""
    probes: list[Probe]


class OracleMaker:
    """Makes the oracles of one environment's tasks. What depends on the solution and the hidden files alone is made
    once and shared: planted bugs have the solution in common. Safe to use from several threads.

    Args:
        timeout: seconds that one run may take.
    """

    def __init__(self, build: Build, backend: SandboxBackend, timeout: float) -> None:
        self._build = build
        self._backend = backend
        self._timeout = timeout
        self._lock = threading.Lock()
        self._made: dict[str, Oracle | None] = {}

    def make(self, task: Task, contradicted: Contradicted | None = None) -> Oracle | None:
        """The oracle of a task; None where nothing could be derived.

        Args:
            contradicted: of an impossible twin the assertion that the solution fails: it is a slot all the same, with
                the value that the twin's hidden test expects.

        Raises:
            SandboxError: the machine failed.
        """
        tree = self._build.tree
        solved = attempt_edits(task, tree, gold_edits(task, tree))
        read = reader(tree, graded_edits(task, tree, {}))
        tests = hidden_tests(task)
        key = digest_json(
            [
                tree_digest(tree, solved),
                task.test_patch,
                sorted((path, sorted(some.items())) for path, some in tests.items()),
            ]
        )
        with self._lock:
            if key not in self._made:
                self._made[key] = self._record(solved, read, tests, contradicted)
            oracle = self._made[key]
        if oracle is None:
            return None
        start = check_oracle(oracle, self._backend, self._build, attempt_edits(task, tree, {}), timeout=self._timeout)
        return oracle.model_copy(update={"discriminating": sees_bug(oracle, start.run.reports)})

    def _record(
        self, solved: Edits, read: Reader, tests: dict[str, Counter[str]], contradicted: Contradicted | None
    ) -> Oracle | None:
        failed: set[str] = set()
        useless: set[_Place] = set()
        while True:
            derived = list(_derive(read, tests, failed, useless))
            if not derived:
                return None
            recorded = self._recording(solved, derived, contradicted)
            if not recorded.failed and not recorded.useless:
                break
            failed |= recorded.failed
            useless |= recorded.useless
        programs = tuple(ProbeProgram(path=one.path, source=one.program) for one in derived)
        made = Oracle(programs=programs, probes=tuple(recorded.probes), discriminating=False)
        return self._confirmed(made, solved, contradicted)

    def _recording(self, solved: Edits, derived: list[Derived], contradicted: Contradicted | None) -> Recorded:
        calls = [Call(number, entry.name) for number, one in enumerate(derived) for entry in one.entries]
        programs = [(one.path, one.recording) for one in derived]
        run = run_probes(self._backend, self._build, solved, programs=programs, calls=calls, timeout=self._timeout)
        return read_recording(derived, run.reports, contradicted)

    def _confirmed(self, oracle: Oracle, solved: Edits, contradicted: Contradicted | None) -> Oracle | None:
        """The oracle less the tests whose probes do not give on the solution what they gave before."""
        unmet: set[str] = set()
        for _ in range(GOLD_RUNS):
            unmet |= set(check_oracle(oracle, self._backend, self._build, solved, timeout=self._timeout).unmet)
        unmet -= {contradicted.test} if contradicted else set()
        probes = tuple(probe for probe in oracle.probes if probe.test not in unmet)
        return oracle.model_copy(update={"probes": probes}) if probes else None


def hidden_tests(task: Task) -> dict[str, Counter[str]]:
    """The tests that count in the files of the fail-to-pass tests: by file and name, with the number of their ids."""
    files = {test_id.partition("::")[0] for test_id in task.fail_to_pass}
    found: dict[str, Counter[str]] = {path: Counter() for path in sorted(files)}
    for test_id in (*task.fail_to_pass, *task.pass_to_pass):
        path, _, rest = test_id.partition("::")
        if path in found:
            found[path][rest.partition("[")[0]] += 1
    return found


def read_recording(
    derived: list[Derived], reports: dict[int, Report], contradicted: Contradicted | None = None
) -> Recorded:
    """Sort out what a recording run gave; ``reports`` are numbered over the entries of all files."""
    found = Recorded(set(), set(), [])
    numbered = [(program, one, entry) for program, one in enumerate(derived) for entry in one.entries]
    for number, (program, one, entry) in enumerate(numbered):
        report = reports.get(number)
        if report is None or not report.ended or report.forged:
            found.failed.add(entry.test)
            continue
        slots = [_slot(one, number, values, contradicted) for number, values in sorted(report.values.items())]
        found.useless.update(
            (one.path, one.slots[place].place)
            for place, slot in zip(sorted(report.values), slots, strict=True)
            if not slot
        )
        kept = tuple(slot for slot in slots if slot)
        found.probes.append(Probe(test=entry.test, program=program, entry=entry.name, slots=kept))
    return found


def sees_bug(oracle: Oracle, reports: dict[int, Report]) -> bool:
    """Whether some value is not what it must be, or is missing."""
    nothing = Report({}, ended=False)
    return any(wrong_value(probe, reports.get(number, nothing)) for number, probe in enumerate(oracle.probes))


def _slot(
    derived: Derived, number: int, values: list[tuple[str, ...]], contradicted: Contradicted | None
) -> Slot | None:
    """A slot with the values that were recorded; None where one of them is not as expected."""
    info = derived.slots[number]
    if info.kind == "raises":
        expected = [json.dumps(["list", list(info.raised)])] * len(values)
    else:
        expected = [value[-1] for value in values]
    slot = Slot(number=number, kind=info.kind, expected=tuple(expected))
    fits = all(is_met(slot, value[0], wanted) for value, wanted in zip(values, expected, strict=True))
    if contradicted and (derived.path, info.place) == (contradicted.path, contradicted.place):
        fits = not fits and all(_is_plain(part) for value in values for part in value)
    return slot if fits else None


def _is_plain(text: str) -> bool:
    try:
        decode_plain(text)
    except NotPlainError:
        return False
    return True


def _derive(
    read: Reader, tests: dict[str, Counter[str]], failed: Collection[str], useless: Iterable[_Place]
) -> Iterable[Derived]:
    room = MOST_SOURCE
    for path, names in tests.items():
        content = read(path)
        if content is None or not path.endswith(".py") or _has_automatic_fixtures(path, read):
            continue
        counts = {name: count for name, count in names.items() if f"{path}::{name}" not in failed}
        derived = derive_probes(path, content, counts, [place for file, place in useless if file == path])
        if derived and len(derived.program) <= room:
            room -= len(derived.program)
            yield derived


def _has_automatic_fixtures(path: str, read: Reader) -> bool:
    """Whether a conftest may do something around each test."""
    conftests = [read((folder / "conftest.py").as_posix()) for folder in PurePosixPath(path).parents]
    return any(b"autouse" in content or b"pytest_runtest" in content for content in conftests if content)
