"""Python's parser, safe to call from several threads.

CPython up to 3.12 counts the depth of the tree it makes in one place for all threads, and raises ``SystemError: AST
constructor recursion depth mismatch`` where another thread parses at the same time; seen with 3.11.7.
"""

import ast
import threading
from typing import Literal, overload

_parsing = threading.Lock()


@overload
def parse_python(source: str | bytes, mode: Literal["exec"] = "exec") -> ast.Module: ...


@overload
def parse_python(source: str | bytes, mode: Literal["eval"]) -> ast.Expression: ...


def parse_python(source: str | bytes, mode: Literal["exec", "eval"] = "exec") -> ast.Module | ast.Expression:
    """``ast.parse``, one thread at a time; raises what that raises."""
    with _parsing:
        return ast.parse(source) if mode == "exec" else ast.parse(source, mode="eval")
