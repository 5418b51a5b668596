"""The solution in other words: printed anew from its syntax tree, and with other names for local variables."""

import ast
from collections.abc import Callable, Iterator, Sequence

from env_builder.strategies.meaning import strip_docstrings
from env_builder.strategies.procedural.function import Function
from env_builder.strength.attempt import Attempt, Kind
from env_builder.strength.renaming import rename_locals
from env_builder.strength.solution import Solution
from tasks.syntax import parse_python


def rewritten(solution: Solution, touched: Sequence[Function], *, keep_docstrings: bool) -> Iterator[Attempt]:
    """The solution's Python files printed anew, and once more with other local names in the touched functions."""

    def reprint(path: str, tree: ast.Module, source: bytes) -> bool:
        if not keep_docstrings:
            strip_docstrings(tree)
        return True

    def rename(path: str, tree: ast.Module, source: bytes) -> bool:
        return rename_locals(tree, source, [function for function in touched if function.path == path])

    yield from _attempt(solution, "printed anew", reprint)
    yield from _attempt(solution, "local names changed", rename)


def _attempt(solution: Solution, how: str, change: Callable[[str, ast.Module, bytes], bool]) -> Iterator[Attempt]:
    """The solution with the files that ``change`` says it changed printed from their trees; none if there are none."""
    state = dict(solution.gold)
    for path, content in solution.python():
        try:
            tree = parse_python(content)
            if change(path, tree, content):
                state[path] = _printed(tree) or content
        except (SyntaxError, ValueError, RecursionError):
            continue  # not a program of this interpreter, or one that it cannot print
    if state != solution.gold:
        yield Attempt(Kind.REWRITTEN, how, "", state)


def _printed(tree: ast.Module) -> bytes | None:
    """The source of a tree; None where it would not be the same program."""
    text = ast.unparse(tree) + "\n"
    return text.encode() if ast.dump(parse_python(text)) == ast.dump(tree) else None
