"""What the host makes of the lines that came out of a probe run."""

import json
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from blockers.oracle.plain import NotPlainError, decode_plain
from tasks.oracle import Probe, Slot, SlotKind


class Report(NamedTuple):
    """What one probe reported."""

    values: dict[int, list[tuple[str, ...]]]
    """By number of the slot, in order: the value as JSON text, and while recording the expected one."""
    ended: bool
    """Whether it ran to its end."""
    forged: bool = False
    """Whether something came that the runner never writes: after the end, twice, or of another form."""


def read_lines(lines: Iterable[str]) -> dict[str, Report]:
    """The reports by the probe's label; lines that name none count for nothing."""
    reports: dict[str, Report] = {}
    for line in lines:
        try:
            label, number, *values = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if not isinstance(label, str):
            continue
        before = reports.setdefault(label, Report({}, False))
        if before.ended:
            reports[label] = before._replace(forged=True)
        elif number is None:
            reports[label] = before._replace(ended=True)
        elif type(number) is int and values and all(isinstance(value, str) for value in values):
            before.values.setdefault(number, []).append(tuple(values))
        else:
            reports[label] = before._replace(forged=True)
    return reports


def unmet_probes(probes: Mapping[int, Probe], reports: Mapping[int, Report]) -> dict[int, str]:
    """The probes, by number, that did not report exactly what they must, and why."""
    found = {number: _objection(probe, reports.get(number)) for number, probe in probes.items()}
    return {number: why for number, why in found.items() if why}


def _objection(probe: Probe, report: Report | None) -> str:
    """What speaks against a probe; nothing where it is met."""
    if report is None or not report.ended:
        return "it did not run to its end"
    if report.forged:
        return "it reported what no probe reports"
    if set(report.values) - {slot.number for slot in probe.slots}:
        return "it reported a value in a place where none is due"
    return wrong_value(probe, report)


def wrong_value(probe: Probe, report: Report) -> str:
    """Which slot of a probe did not give exactly the values that it must; nothing where all did."""
    for slot in probe.slots:
        values = report.values.get(slot.number, [])
        if len(values) != len(slot.expected):
            return f"slot {slot.number} was reached {len(values)} times; expected {len(slot.expected)}"
        for value, expected in zip(values, slot.expected, strict=True):
            if len(value) != 1 or not is_met(slot, value[0], expected):
                return f"slot {slot.number} has another value"
    return ""


_COMPARED: dict[SlotKind, Callable[[Any, Any], object]] = {
    **{"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt},
    "ge": operator.ge,
}


def is_met(slot: Slot, value: str, expected: str) -> bool:
    """Whether a reported value is what the slot must give; Python's own equality on plain data decides."""
    if slot.kind == "any":
        return True
    try:
        got, wanted = decode_plain(value, alike=True), decode_plain(expected)
    except NotPlainError:
        return False
    if slot.kind in _COMPARED:
        try:
            return bool(_COMPARED[slot.kind](got, wanted))
        except TypeError:  # no order between the two
            return False
    match slot.kind:
        case "is":
            return (got is None or isinstance(got, bool)) and got is wanted
        case "in":
            return _contains(wanted, got)
        case "holds":
            return _contains(got, wanted)
        case "raises":
            return isinstance(got, list) and isinstance(wanted, list) and any(name in wanted for name in got)
    return False


def _contains(container: object, value: object) -> bool:
    """``value in container``, where that means something."""
    if not isinstance(container, str | bytes | list | tuple | dict | set | frozenset):
        return False
    try:
        return value in container
    except TypeError:
        return False
