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
from typing import Literal, NamedTuple

from agent_env.grading.probes import Call, check_oracle, run_probes
from agent_env.grading.states import attempt_edits, gold_edits, graded_edits
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.oracle import Derived, NotPlainError, Report, decode_plain, derive_probes, forced, is_met, tells
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

_Fit = Literal["yes", "no", "opaque"]
"""Whether the values of a place are as expected; ``opaque`` where one is no plain data."""


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
    """Assertions whose sides are plain data in no case of their test, or do not agree as such."""
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
        return oracle.model_copy(update={"discriminating": self._tells(oracle, task)})

    def _tells(self, oracle: Oracle, task: Task) -> bool:
        """Whether the start state, run as whoever forges everything might run it, leaves a value unknown."""
        start = attempt_edits(task, self._build.tree, {})
        tests = {test_id.partition("[")[0] for test_id in task.fail_to_pass}
        calls = [Call(probe.program, probe.entry) for probe in oracle.probes]
        runs = []
        for changed in (str, forced):
            programs = [(program.path, changed(program.source)) for program in oracle.programs]
            run = run_probes(self._backend, self._build, start, programs=programs, calls=calls, timeout=self._timeout)
            if run.stopped:
                return False
            runs.append(run.reports)
        return tells(oracle, tests, runs)

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
    seen: dict[_Place, set[_Fit]] = {}
    for number, (program, one, entry) in enumerate(numbered):
        report = reports.get(number)
        if report is None or not report.ended or report.forged:
            found.failed.add(entry.test)
            continue
        slots = []
        for place, values in sorted(report.values.items()):
            slot, fit = _slot(one, place, values, contradicted)
            seen.setdefault((one.path, one.slots[place].place), set()).add(fit)
            slots.append(slot)
        found.probes.append(Probe(test=entry.test, program=program, entry=entry.name, slots=tuple(slots)))
    found.useless.update(place for place, fits in seen.items() if "no" in fits or "yes" not in fits)
    return found


def _slot(
    derived: Derived, number: int, values: list[tuple[str, ...]], contradicted: Contradicted | None
) -> tuple[Slot, _Fit]:
    """A slot with the values that were recorded, and whether they are as expected. What is no plain data in one case of
    a test may be some in another: then it counts for nothing in the one."""
    info = derived.slots[number]
    if info.kind == "raises":
        expected = [json.dumps(["list", list(info.raised)])] * len(values)
    else:
        expected = [value[1] for value in values]
    slot = Slot(number=number, kind=info.kind, expected=tuple(expected))
    plain = all(_is_plain(part) for value in values for part in value)
    fits = all(is_met(slot, value[0], wanted) for value, wanted in zip(values, expected, strict=True))
    if contradicted and (derived.path, info.place) == (contradicted.path, contradicted.place):
        fits = not fits and plain
    elif not plain:
        return slot.model_copy(update={"kind": "any", "expected": ("null",) * len(values)}), "opaque"
    return slot, "yes" if fits and all(map(_is_unchanged, values)) else "no"


def _is_unchanged(values: tuple[str, ...]) -> bool:
    """Whether an expected value is what the test wrote, where that was recorded as well."""
    return all(decode_plain(written) == decode_plain(values[1]) for written in values[2:])


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
