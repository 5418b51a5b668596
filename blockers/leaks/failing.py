"""The source of the failing tests alone, out of a hidden test file."""

import ast
from collections.abc import Collection


def failing_source(path: str, content: bytes, failing: Collection[str]) -> bytes:
    """The functions and methods of a test file that fail before the solution; nothing where it holds none of them, all
    of it where they cannot be found in it.

    Args:
        failing: ids of the fail-to-pass tests, of this file and of others.
    """
    names = {_function(test) for test in failing if test.partition("::")[0] == path}
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return content
    lines = content.splitlines(keepends=True)
    found = [
        b"".join(lines[_first(node) - 1 : node.end_lineno])
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names
    ]
    return b"".join(found) if found or not names else content


def _function(test: str) -> str:
    return test.partition("[")[0].rpartition("::")[2]


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
