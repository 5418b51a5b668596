"""The oracle split: hidden tests taken apart into programs that compute values, and values that only the host knows."""

from blockers.oracle.derive import Derived, Entry, derive_probes
from blockers.oracle.forger import forced, tells
from blockers.oracle.plain import NotPlainError, decode_plain
from blockers.oracle.sentinels import forged_sentinels, make_probe_sentinels
from blockers.oracle.verdict import Report, is_met, read_lines, unmet_probes, wrong_value

__all__ = [
    "Derived",
    "Entry",
    "NotPlainError",
    "Report",
    "decode_plain",
    "derive_probes",
    "forced",
    "forged_sentinels",
    "is_met",
    "make_probe_sentinels",
    "read_lines",
    "tells",
    "unmet_probes",
    "wrong_value",
]
