"""What a problem statement must not hold: names of hidden tests, and lines of the solution."""

import re
from collections.abc import Iterable

from tasks.tree import Edits

SHORTEST_LINE = 12
"""Characters of a line of the solution that is distinctive; shorter ones (``return x``) are everywhere."""

_TEST_NAME = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+([Tt]est\w+)", re.MULTILINE)
_PROMPT = re.compile(r"^(>>>|\.\.\.) ?")

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
    found += [
        f"quotes a line of the solution: {line!r}" for line in distinctive_lines(gold_patch) if _squeezed(line) in plain
    ]
    return found


def hidden_ids(hidden_files: Edits) -> list[str]:
    """Ids for hidden test files and for the test functions and classes in them."""
    ids = []
    for path, content in hidden_files.items():
        ids.append(path)
        ids += [f"{path}::{name}" for name in _TEST_NAME.findall((content or b"").decode(errors="replace"))]
    return ids


def hidden_names(test_ids: Iterable[str]) -> set[str]:
    """Names that give hidden tests away: file paths, file names, classes and functions."""
    names = set()
    for test_id in test_ids:
        path, *parts = re.sub(r"\[.*$", "", test_id, flags=re.DOTALL).split("::")
        names |= {path, path.rpartition("/")[2], *parts}
    return {name for name in names if len(name) > 3} - _COMMON_NAMES


def distinctive_lines(gold_patch: str) -> list[str]:
    """Lines that only the solution has and that are long enough to be told from others."""
    added: list[str] = []
    known: set[str] = set()
    for line in gold_patch.splitlines():
        if line.startswith("+") and not line.startswith("+++ "):
            added.append(line[1:].strip())
        elif line.startswith((" ", "-")) and not line.startswith("--- "):
            known.add(line[1:].strip())
    return [line for line in dict.fromkeys(added) if _tells(line) and line not in known]


def _tells(line: str) -> bool:
    """Whether a line is long enough, and more than a name (an entry of a list, a ``See also``)."""
    return len(line) >= SHORTEST_LINE and re.fullmatch(r"[\w.'\"]*,?", line) is None


def _squeezed(text: str) -> str:
    """A text without blanks and without the prompts of examples."""
    return "".join("".join(_PROMPT.sub("", line.strip()).split()) for line in text.splitlines())


def _holds_word(text: str, name: str) -> bool:
    """Whether a name stands in a text; that of a test also where more follows, as in its temporary folder's name."""
    if name not in text:
        return False
    end = "" if name.startswith("test_") and not name.endswith(".py") else r"(?!\w)"
    return re.search(rf"(?<!\w){re.escape(name)}{end}", text) is not None
