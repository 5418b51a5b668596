"""What a Python file means to the interpreter: equal for two files that differ only in looks."""

import ast
import warnings
from types import CodeType

from tasks.syntax import parse_python

Meaning = tuple[object, ...]
"""Compares equal where two files behave the same: bytecode less positions, docstrings and comments."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def meaning(source: bytes) -> Meaning | None:
    """The meaning of a file, or None where it does not compile under this interpreter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parse_python(source)
            strip_docstrings(tree)
            return _code_meaning(compile(tree, "<candidate>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError):
        return None


def strip_docstrings(tree: ast.Module) -> None:
    """Take the docstrings out of a syntax tree, in place."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and node.body and _is_string(node.body[0]):
            node.body[:1] = [] if len(node.body) > 1 or isinstance(node, ast.Module) else [_pass_at(node.body[0])]


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _pass_at(statement: ast.stmt) -> ast.Pass:
    return ast.copy_location(ast.Pass(), statement)


def _code_meaning(code: CodeType) -> Meaning:
    constants = tuple(_constant_meaning(value) for value in code.co_consts)
    return (
        code.co_name,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_code,
        constants,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_exceptiontable,
    )


def _constant_meaning(value: object) -> object:
    """Types are told apart (``1``, ``1.0`` and ``True`` are equal to Python), nested code is compared by meaning."""
    if isinstance(value, CodeType):
        return _code_meaning(value)
    if isinstance(value, tuple):
        return tuple(_constant_meaning(item) for item in value)
    return type(value).__name__, repr(value)
