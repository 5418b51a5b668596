"""pytest's text of a failure, read: where it happened, with which arguments, and what was raised or compared."""

import ast
import re
from collections.abc import Collection
from typing import NamedTuple

_LOCATION = re.compile(r"^(?P<path>\S[^:\n]*):(?P<line>\d+): ?(?P<what>[\w.]*)", re.MULTILINE)
_ERROR_LINE = re.compile(r"^E(?: {1,3}(.*)|\s*)$")
_CHAINED = re.compile(r"\n(?:During handling of the above|The above) exception[^\n]*\n")
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::\s?(?P<message>.*))?$", re.DOTALL)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|(?<=\.\.\.)[0x]*[0-9a-fA-F]{4,}(?=>)")
_TEMPORARY = re.compile(r"/\S*?/pytest-of-\w+/pytest-\d+/\w+")
_UNITTEST_NOISE = re.compile(r"^\w+ differ: ")


class Place(NamedTuple):
    """A frame of the traceback."""

    path: str
    line: int


class Report(NamedTuple):
    """One failure."""

    places: tuple[Place, ...]
    """Frames of the exception that ended the test, the test's own first."""
    arguments: dict[str, str]
    """Arguments of the test function that can be written down as literals."""
    error: str
    """Name of the exception's type (``AssertionError``), empty where the report does not say."""
    message: str
    """What the exception said, without the assertion's rewriting."""
    compared: str
    """What pytest showed of a failed assertion (``1 == 2``), empty where the failure is another."""
    where: tuple[str, ...]
    """How pytest explained the values: ``1 = f(2)``."""

    def frames_in(self, paths: Collection[str]) -> list[Place]:
        """The frames in some files, the test's own first."""
        return [
            Place(path, place.line)
            for place in self.places
            for path in paths
            if place.path == path or place.path.endswith("/" + path)
        ]


def read_report(text: str) -> Report:
    """Read pytest's long text of a failure, as far as it goes (its beginning may be cut off)."""
    last = _CHAINED.split(text)[-1]
    lines = [(_ERROR_LINE.match(line)) for line in last.splitlines()]
    said = [found.group(1) or "" for found in _last_block(lines)]
    places = tuple(Place(found["path"], int(found["line"])) for found in _LOCATION.finditer(last))
    compared, where, rest = _sort_lines(said)
    raised = _RAISED.match("\n".join(rest).strip())
    named = [found["what"] for found in _LOCATION.finditer(last) if found["what"]]
    error = raised["type"] if raised and _is_exception(raised["type"]) else (named[-1] if named else "")
    message = raised["message"] if raised and _is_exception(raised["type"]) else "\n".join(rest)
    if compared and not error:
        error = "AssertionError"
    return Report(
        places,
        _arguments(last),
        error.rpartition(".")[2],
        shown(message or ""),
        shown(compared),
        tuple(map(shown, where)),
    )


def split_comparison(compared: str, operator: str) -> tuple[str, str] | None:
    """The two values of a failed comparison, as pytest shows them; None where they cannot be told apart."""
    parts = compared.split(f" {operator} ")
    cuts = [
        (f" {operator} ".join(parts[:at]).strip(), f" {operator} ".join(parts[at:]).strip())
        for at in range(1, len(parts))
    ]
    sure = [cut for cut in cuts if is_literal(cut[0]) or is_literal(cut[1])]
    if len(sure) == 1 or len(cuts) == 1:
        return (sure or cuts)[0]
    return None


def unittest_comparison(message: str) -> tuple[str, str] | None:
    """The two values in the message of ``assertEqual``; None where it says something else."""
    first = _UNITTEST_NOISE.sub("", message.split("\n\n")[0].split("\n")[0])
    return split_comparison(first, "!=")


def is_literal(text: str) -> bool:
    """Whether a text is a Python literal."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
    return True


def shown(text: str) -> str:
    """A text without memory addresses and pytest's own temporary folders, which differ in each run."""
    return _TEMPORARY.sub("/tmp/example", _ADDRESS.sub("", text))


def _last_block(lines: list[re.Match[str] | None]) -> list[re.Match[str]]:
    """The last run of ``E`` lines."""
    block: list[re.Match[str]] = []
    for line in reversed(lines):
        if line is not None:
            block.append(line)
        elif block:
            break
    return block[::-1]


def _sort_lines(said: list[str]) -> tuple[str, list[str], list[str]]:
    """The rewritten assertion, its explanations, and the other lines."""
    compared: list[str] = []
    where: list[str] = []
    rest: list[str] = []
    target = rest
    for line in said:
        plain = line.strip()
        bare = plain.removeprefix("AssertionError: ")
        if bare.startswith("assert ") and not compared:
            compared.append(bare.removeprefix("assert "))
            target = compared
        elif plain.startswith(("+  where ", "+    where", "+      where", "+  and ", "+    and ")) or (
            plain.startswith("+") and " where " in plain[:20]
        ):
            where.append(re.sub(r"^\+\s+(where|and)\s+", "", plain))
        elif not plain and target is compared:
            target = []  # what follows explains the difference at length
        else:
            target.append(line if target is rest else plain)
    return "\n".join(compared), where, rest


def _is_exception(name: str) -> bool:
    plain = name.rpartition(".")[2]
    return plain[:1].isupper() or plain in ("error", "timeout")


def _arguments(section: str) -> dict[str, str]:
    """Literal arguments in the lines above the source of the first frame."""
    found: dict[str, str] = {}
    head = section.lstrip("\n").split("\n\n")[0]
    if _LOCATION.search(head) or "def " in head.split("\n")[0]:
        return found
    for line in head.splitlines():
        for part in re.split(r", (?=[A-Za-z_]\w* = )", line):
            name, _, value = part.partition(" = ")
            if name.isidentifier() and is_literal(value):
                found[name] = value
    return found
