"""What a problem statement may not say: lines and names of the solution, names of hidden tests, links to the fix."""

import re
from collections.abc import Iterator

from blockers.findings import Finding
from blockers.leaks.index import WINDOW
from blockers.leaks.marks import GoldMarks, runs
from blockers.leaks.texts import normal, numbered
from tasks.tree import Edits

_WHERE = "statement"
_LINK = re.compile(r"https?://\S+/(?:pull|pulls|commit|commits|compare|merge_requests|issues)/\S*|\b[0-9a-f]{40}\b")
_TEST = re.compile(rb"^\s*(?:async\s+)?(?:def|class)\s+([Tt]est\w*)", re.MULTILINE)
_WORD = re.compile(r"\w+")


def statement_findings(
    statement: str, marks: GoldMarks, hidden_files: Edits, foreign_names: frozenset[str]
) -> Iterator[Finding]:
    """Findings in the words that the agent gets.

    Args:
        statement: the words.
        marks: of the gold patch.
        hidden_files: the hidden tests.
        foreign_names: identifiers that gold has, and neither the start state nor the hidden tests.
    """
    lines = numbered(statement)
    shown = [line for _, line in lines]
    found = {line for line in marks.lines if line in normal(statement.replace("\n", " "))}
    found |= {run[WINDOW // 2] for run in marks.windows & set(runs(shown, WINDOW))}
    for line in sorted(found):
        number = next((number for number, text in lines if line in text), None)
        yield Finding("statement-line", _WHERE, number, f"holds a line of the solution: {line[:120]}")
    tests = {name.decode() for text in hidden_files.values() if text for name in _TEST.findall(text)} - {"test", "Test"}
    paths = {path for path in hidden_files if "/" in path or "_" in path}
    for number, text in enumerate(statement.split("\n"), 1):
        words = set(_WORD.findall(text))
        for name in sorted(words & foreign_names):
            yield Finding("statement-name", _WHERE, number, f"holds {name!r}, which only the solution has")
        for name in sorted(words & tests):
            yield Finding("statement-test", _WHERE, number, f"names the hidden test {name!r}")
        for path in sorted(path for path in paths if path in text or path.rpartition("/")[2] in text.split()):
            yield Finding("statement-test", _WHERE, number, f"names the hidden test file {path!r}")
        for link in _LINK.findall(text):
            yield Finding("statement-link", _WHERE, number, f"points to {link[:200]!r}")
