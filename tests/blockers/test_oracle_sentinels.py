"""Sentinels of probe runs: sure when they are run as they stand, and each kind of forgery is told from that."""

import json
from typing import Any

from blockers.oracle import Report, forged_sentinels, make_probe_sentinels, read_lines
from blockers.oracle.sentinels import ProbeSentinels
from tasks.oracle import Oracle, Probe, ProbeProgram

PROGRAM = """\
from somewhere import sorted

def test_a():
    __slot_7f__(0, sorted([2]))
    with __raises_7f__(7):
        sorted(1)

def __probe_0_7f__():
    test_a()

def __probe_11_7f__():
    test_a()
"""
ORACLE = Oracle(
    programs=(ProbeProgram(path="tests/test_a.py", source=PROGRAM), ProbeProgram(path="tests/test_b.py", source="")),
    probes=(Probe(test="tests/test_a.py::test_a", program=0, entry="__probe_0_7f__"),),
    discriminating=True,
)


def run(sentinels: ProbeSentinels) -> dict[str, Report]:
    """What an honest process reports of them."""
    lines: list[str] = []

    def slot(number: int, values: list[int]) -> None:
        value = json.dumps(["list", [["int", format(one, "x")] for one in values]])
        lines.append(json.dumps([entry, number, value]))

    functions: dict[str, Any] = {"__slot_7f__": slot}
    exec(sentinels.source.removeprefix(ORACLE.programs[sentinels.program].source), functions)
    for entry in (*sentinels.must_end, *sentinels.must_fail):
        try:
            functions[entry]()
            lines.append(json.dumps([entry, None, None]))
        except (AssertionError, LookupError):
            pass
    return read_lines(lines)


def test_an_honest_run_is_as_it_must_be_each_time() -> None:
    for _ in range(200):
        sentinels = make_probe_sentinels(ORACLE)
        reports = run(sentinels)
        assert forged_sentinels(sentinels, reports) == ""
        assert {entry for entry, report in reports.items() if report.ended} == set(sentinels.must_end)


def test_they_differ_from_run_to_run_and_take_no_entry_or_slot_that_is_taken() -> None:
    drawn = [make_probe_sentinels(ORACLE) for _ in range(40)]
    assert len({sentinels.source for sentinels in drawn}) == 40
    assert {sentinels.program for sentinels in drawn} == {0, 1}
    for sentinels in drawn:
        assert sentinels.source.startswith(ORACLE.programs[sentinels.program].source)
        assert 2 <= len(sentinels.must_end) <= 3
        assert 2 <= len(sentinels.must_fail) <= 3
        if sentinels.program == 0:
            numbers = [int(entry.split("_")[3]) for entry in (*sentinels.must_end, *sentinels.must_fail)]
            assert min(numbers) == 12


def test_each_kind_of_forgery_is_seen() -> None:
    sentinels = make_probe_sentinels(ORACLE)
    honest = run(sentinels)
    sure, failing = next(iter(sentinels.must_end)), next(iter(sentinels.must_fail))
    number = sentinels.must_end[sure].slots[0].number
    forgeries = {
        "all end": {entry: report._replace(ended=True) for entry, report in honest.items()},
        "one ends that cannot": honest | {failing: Report({}, True)},
        "none ends": {entry: report._replace(ended=False) for entry, report in honest.items()},
        "one is missing": {entry: report for entry, report in honest.items() if entry != sure},
        "a guess": honest | {sure: Report({number: [('["int", "5"]',)]}, True)},
        "no value": honest | {sure: Report({}, True)},
        "more than a runner writes": honest | {sure: honest[sure]._replace(forged=True)},
        "nothing at all": {},
    }
    for name, reports in forgeries.items():
        assert forged_sentinels(sentinels, reports), name
