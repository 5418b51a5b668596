"""Sentinels of a probe run: probes of known result that stand in one of its programs.

They are for what has no value to be forged by: a probe without slots, which is met where it says that it ran to its
end. Who makes every probe say so makes one say it that cannot; who makes every probe fail, or report a guess, loses one
that is sure. Entries, numbers, values, forms and order are drawn anew for each run.
"""

import json
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from blockers.oracle.inline import MARK
from blockers.oracle.rewrite import RAISES, SLOT
from blockers.oracle.verdict import Report, wrong_value
from tasks.oracle import Oracle, Probe, Slot

_RANDOM = secrets.SystemRandom()
_NUMBERED = re.compile(rf"\b(?:__probe_|{SLOT}\(|{RAISES}\()(\d+)")

_FAILING = (
    "    assert {numbers}[::-1] == {numbers}\n",
    "    assert {absent} in {numbers}\n",
    "    {numbers}[{length}]\n",
    "    {{{absent}: {absent}}}[{first}]\n",
    "    assert {numbers}[0] < {absent}\n",
)
"""Statements that raise. They name nothing: a program may have its own ``sorted``, from the project."""


class ProbeSentinels(NamedTuple):
    """One run's sentinels; calls are told apart by their entry."""

    program: int
    """The program that they stand in."""
    source: str
    """That program's, with them."""
    must_end: Mapping[str, Probe]
    """By entry: what it must report before it ends."""
    must_fail: frozenset[str]
    """Entries that must report no end."""


def make_probe_sentinels(oracle: Oracle) -> ProbeSentinels:
    """Draw two or three probes of each kind, in random order."""
    program = _RANDOM.randrange(len(oracle.programs))
    source = oracle.programs[program].source
    free = _first_free(source)
    kinds = [True] * _RANDOM.randint(2, 3) + [False] * _RANDOM.randint(2, 3)
    _RANDOM.shuffle(kinds)
    must_end: dict[str, Probe] = {}
    must_fail = set()
    for number, ends in enumerate(kinds, free):
        entry = f"__probe_{number}{MARK}"
        numbers = _RANDOM.sample(range(2, 1000), k=_RANDOM.randint(3, 6))
        body = f"    {SLOT}({number}, {numbers}[::-1])\n"
        if ends:
            expected = json.dumps(["list", [["int", format(one, "x")] for one in numbers[::-1]]])
            slot = Slot(number=number, kind="eq", expected=(expected,))
            must_end[entry] = Probe(test=entry, program=program, entry=entry, slots=(slot,))
        else:
            body += _failing(numbers)
            must_fail.add(entry)
        source += f"\n\ndef {entry}():\n{body}"
    return ProbeSentinels(program, source, must_end, frozenset(must_fail))


@lru_cache(maxsize=256)
def _first_free(source: str) -> int:
    """The first number that no entry and no slot of a program has."""
    return 1 + max(map(int, _NUMBERED.findall(source)), default=0)


def _failing(numbers: list[int]) -> str:
    return _RANDOM.choice(_FAILING).format(
        numbers=numbers, absent=min(numbers) - 1, first=numbers[0], length=len(numbers)
    )


def forged_sentinels(sentinels: ProbeSentinels, reports: Mapping[str, Report]) -> str:
    """What their reports, by entry, say against the run; nothing where all are as they must be."""
    for entry, probe in sentinels.must_end.items():
        report = reports.get(entry)
        if report is None or not report.ended or report.forged or wrong_value(probe, report):
            return f"{entry}, which is sure to end with its value, did not"
    for entry in sentinels.must_fail:
        if entry in reports and reports[entry].ended:
            return f"{entry}, which cannot run to its end, is said to have done so"
    return ""
