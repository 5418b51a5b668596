"""What a problem statement must not hold: names of hidden tests, and lines of the solution."""

import re
from collections.abc import Iterable

SHORTEST_LINE = 12
"""Characters of a line of the solution that is distinctive; shorter ones (``return x``) are everywhere."""

_COMMON_NAMES = frozenset({"test", "tests", "Test", "conftest.py", "__init__.py"})


def statement_leaks(text: str, test_ids: Iterable[str], gold_patch: str) -> list[str]:
    """What a statement gives away, in words; empty for a statement that may be used.

    Args:
        text: the statement.
        test_ids: pytest's node ids of the hidden tests; their files, classes and functions may not be named.
        gold_patch: diff from the start state to the solution. A line that it adds, and does not also remove or show as
            context, may not be quoted.
    """
    found = [f"names the hidden test {name!r}" for name in sorted(hidden_names(test_ids)) if _holds_word(text, name)]
    plain = _squeezed(text)
    found += [f"quotes a line of the solution: {line!r}" for line in distinctive_lines(gold_patch) if line in plain]
    return found


def hidden_names(test_ids: Iterable[str]) -> set[str]:
    """Names that give hidden tests away: file paths, file names, classes and functions."""
    names = set()
    for test_id in test_ids:
        path, *parts = re.sub(r"\[.*$", "", test_id, flags=re.DOTALL).split("::")
        names |= {path, path.rpartition("/")[2], *parts}
    return {name for name in names if len(name) > 3} - _COMMON_NAMES


def distinctive_lines(gold_patch: str) -> list[str]:
    """Lines that only the solution has, blanks squeezed, long enough to be told from others."""
    added: list[str] = []
    known: set[str] = set()
    for line in gold_patch.splitlines():
        if line.startswith("+") and not line.startswith("+++ "):
            added.append(_squeezed(line[1:]))
        elif line.startswith((" ", "-")) and not line.startswith("--- "):
            known.add(_squeezed(line[1:]))
    return [line for line in dict.fromkeys(added) if len(line) >= SHORTEST_LINE and line not in known]


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _holds_word(text: str, name: str) -> bool:
    """Whether a name stands in a text; that of a test also where more follows, as in its temporary folder's name."""
    end = "" if name.startswith("test_") and not name.endswith(".py") else r"(?!\w)"
    return re.search(rf"(?<!\w){re.escape(name)}{end}", text) is not None
