"""What the hidden tests of a task compute, apart from the tests themselves: programs, and the values they must give.

A probe program is a hidden test file less its expected values: it computes what the tests compare and reports it. The
expected values are here, on the host, and enter no sandbox. ``blockers/oracle`` makes both and compares.
"""

from typing import Literal

from tasks.record import Record

SlotKind = Literal["eq", "ne", "lt", "le", "gt", "ge", "is", "in", "holds", "raises", "any"]


class Slot(Record):
    """One place of a program that reports a value in place of an assertion."""

    number: int
    """Its number in the program."""
    kind: SlotKind
    """``eq``: the value is equal to the expected one; ``ne``, ``lt``, ``le``, ``gt``, ``ge``: as Python's operators
    have it. ``is``: it is that constant (None, True, False). ``in``: it is in the expected container. ``holds``: the
    expected value is in it. ``raises``: an exception ended the block, and its class or one of its bases is among the
    names expected. ``any``: it is no plain data in this case of the test, and counts for nothing."""
    expected: tuple[str, ...]
    """One value for each time that the place is reached, in order, as JSON (``blockers/oracle/plain.py``)."""


class Probe(Record):
    """One hidden test, or one case of a parametrised one."""

    test: str
    """pytest's id, without the part in brackets."""
    program: int
    """Which of the programs it stands in, from 0."""
    entry: str
    """The function of the program that runs it."""
    slots: tuple[Slot, ...] = ()
    """What it reports; without any it must only run to its end, where the assertions that could not be taken apart
    stand in it still."""


class ProbeProgram(Record):
    """A hidden test file less its expected values."""

    path: str
    """Of the test file; the program runs as if it lay there."""
    source: str
    """Python. Its slots are calls of ``__slot_7f__(NUMBER, VALUE)`` and blocks ``with __raises_7f__(NUMBER):``."""


class Oracle(Record):
    """The second, independent check of a task's hidden tests."""

    format_version: Literal[1] = 1
    programs: tuple[ProbeProgram, ...]
    probes: tuple[Probe, ...]
    discriminating: bool
    """Whether the start state gives another value than the expected one somewhere, or none where one is due. Where it
    does not, the probes say nothing about the bug: only about what else is in the hidden files."""

    def covered(self) -> set[str]:
        """Tests whose probes report at least one value; without the part in brackets."""
        return {probe.test for probe in self.probes if probe.slots}
