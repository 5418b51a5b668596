"""Where a given text occurs in a file, and words that help where it does not occur exactly once."""

import difflib
from typing import NamedTuple

from agent_env.tools.lines import split_lines

MAX_LINES_SEARCHED = 5_000
"""Only so many lines of a file are searched for a similar one, and none that is longer than ``MAX_LINE_CHARS``: the
comparison takes time that grows with both."""

MAX_LINE_CHARS = 300

MAX_PLACES = 10
"""So many places of a text that occurs several times are told."""


class Place(NamedTuple):
    """The one place of a replacement."""

    start: int
    end: int
    new: str
    """What to put there, with the line ends of the file."""


def find_once(text: str, old: str, new: str) -> Place | list[int]:
    """The one place of ``old`` in ``text``, or the line numbers where it begins: none or several.

    In a text whose lines all end in CRLF, plain line breaks of ``old`` and ``new`` are taken for CRLF; not where all of
    ``old`` end so too: who writes that means what is written.
    """
    if _is_crlf(text) and not _is_crlf(old):
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    starts = _starts(text, old)
    if len(starts) == 1:
        return Place(starts[0], starts[0] + len(old), new)
    return [text.count("\n", 0, start) + 1 for start in starts]


def explain_mismatch(path: str, text: str, old: str, lines: list[int]) -> str:
    """Why ``old`` has no single place, and what to do."""
    if lines:
        many = f"more than {MAX_PLACES}" if len(lines) > MAX_PLACES else str(len(lines))
        shown = ", ".join(map(str, lines[:MAX_PLACES]))
        return f"old_str occurs {many} times in {path}, at lines {shown}. Add lines around it to make it unique."
    have = [line.rstrip("\r\n") for line in split_lines(text)]
    wanted = [line.strip() for line in old.strip().splitlines()]
    if not wanted:
        return f"old_str is blank and does not occur in {path}."
    stripped = [line.strip() for line in have[:MAX_LINES_SEARCHED]]
    for at in range(len(stripped) - len(wanted) + 1):
        if stripped[at : at + len(wanted)] == wanted:
            exact = "\n".join(have[at : at + len(wanted)][:10])
            return f"old_str does not occur in {path}; with other blanks it stands at line {at + 1}:\n{exact}"
    longest = max(wanted, key=len)[:MAX_LINE_CHARS]
    near = difflib.get_close_matches(longest, {line: None for line in stripped if len(line) <= MAX_LINE_CHARS}, n=1)
    if near:
        at = stripped.index(near[0])
        return f"old_str does not occur in {path}. The most similar line is {at + 1}:\n{have[at]}"
    return f"old_str does not occur in {path}. View the file and copy the text exactly."


def _is_crlf(text: str) -> bool:
    return "\r\n" in text and "\n" not in text.replace("\r\n", "")


def _starts(text: str, old: str) -> list[int]:
    """Where ``old`` begins in ``text``: overlapping places count, so that unique means unique; the first few only."""
    found: list[int] = []
    at = text.find(old)
    while at >= 0 and len(found) <= MAX_PLACES:
        found.append(at)
        at = text.find(old, at + 1)
    return found
