"""Hidden test files in which sentinels may stand, and how they are put there without changing what the file tests."""

import ast
from collections.abc import Sequence
from functools import lru_cache
from random import Random

from tasks.syntax import parse_python
from tasks.tree import Edits

_BLOCK = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_MEANT = frozenset({"*", "int", "len", "pytestmark", "set", "sorted", "sum", "ValueError", "IndexError"})
"""Names that sentinels use, and names by which a module changes all tests in it."""

_COUNTS_LINES = ("lineno", "inspect", "traceback", "getsource", "linecache", "stacklevel", "doctest", "__file__")
"""Words of modules whose tests may depend on where their own lines stand."""


FILES_KEPT = 64
"""Of so many hidden files what was found in them is remembered: one task is graded many times."""


def find_hosts(like: Sequence[str], hidden_files: Edits) -> list[tuple[str, str]]:
    """Hidden files in which a plain function means what it means anywhere."""
    wanted = {test.partition("::")[0] for test in like}
    found = []
    for path, content in sorted(hidden_files.items()):
        if path in wanted and path.endswith(".py") and content and _is_plain(content):
            found.append((path, content.decode()))
    return found


@lru_cache(FILES_KEPT)
def _is_plain(content: bytes) -> bool:
    """Whether a module parses, ends its lines by LF, and binds at its top nothing that changes a plain test in it."""
    try:
        module = parse_python(content)
        content.decode()
    except (SyntaxError, ValueError):
        return False
    bound = {name for node in module.body for name in _bound(node)}
    return b"\r" not in content and not bound & _MEANT and any(isinstance(node, _BLOCK) for node in module.body)


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement at a module's top may bind; too many rather than too few."""
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    if isinstance(node, ast.Import | ast.ImportFrom):
        names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    elif isinstance(node, _BLOCK):
        names = {node.name}
    return names


def insert_tests(host: str, sources: Sequence[str], rng: Random) -> str:
    """Put tests between a module's own: at its end where the module seems to care about the numbers of its lines."""
    lines = host.removesuffix("\n").split("\n")
    ends = _ends(host)
    moves = not any(word in host for word in _COUNTS_LINES)
    places = sorted(((rng.choice(ends) if moves else len(lines)), source) for source in sources)
    for place, source in reversed(places):
        lines[place:place] = ["", "", *source.removesuffix("\n").split("\n"), ""]
    return "\n".join(lines) + "\n"


@lru_cache(FILES_KEPT)
def _ends(host: str) -> tuple[int, ...]:
    """Numbers of the last lines of a module's functions and classes."""
    return tuple(node.end_lineno or node.lineno for node in parse_python(host).body if isinstance(node, _BLOCK))
