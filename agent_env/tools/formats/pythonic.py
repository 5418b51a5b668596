"""The form of Llama 3.2 and 4: a list of Python calls whose arguments are literals, given by name. ::

    [bash(command="ls"), submit()]

As vLLM's ``pythonic`` parser reads it. ``true``, ``false`` and ``null`` are read beside Python's own words. Nothing is
evaluated: the text is parsed, and only literals are taken from it.
"""

import ast
import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats.form import CALL_THE_TOOL
from tasks.errors import BadInputError

_START = re.compile(r"\[\s*[A-Za-z_]\w*\((?=\s*(?:\)|[A-Za-z_]\w*\s*=(?!=)))")
_BETWEEN = re.compile(r"(?:[\s;,]|</\w{1,20}>|<\|\w{1,20}\|>)*+")
_LOOSE_START = re.compile(r"\[\s*[A-Za-z_]\w*\(")
_TOKEN = re.compile(
    r"(?P<prefix>\b[rRuU])?(?P<body>"
    r"'''(?:[^\\']|\\.|'(?!''))*+'''|\"\"\"(?:[^\\\"]|\\.|\"(?!\"\"))*+\"\"\""
    r"|'(?!'')(?:[^'\\\n]|\\.)*+'|\"(?!\"\")(?:[^\"\\\n]|\\.)*+\")"
    r"|(?P<open>[\[({])|(?P<close>[\])}])|(?P<unclosed>['\"])|#[^\n]*",
    re.DOTALL,
)
"""What decides where a list ends. A quote that nothing closes is a token too: else the rest of the text would be
searched for its end again from each place after it."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\n\\'\"abfnrtvxNuU01234567")
_WORDS = {"true": True, "false": False, "null": None}


class Pythonic:
    """See the module."""

    name: ClassVar[str] = "pythonic"
    rule: ClassVar[str] = "Write each call exactly so, several as items of one list"
    ending: ClassVar[str] = CALL_THE_TOOL
    shell_only: ClassVar[bool] = False
    submits_by_output: ClassVar[bool] = False

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        start = find_list(text)
        if start is None:
            start = find_loose_list(text)  # so that the complaint can say what is wrong with it
        if start is None:
            return []
        calls, end = read_list(text, start)
        if list_follows(text, end):
            raise CallFormatError("after the list of calls another one begins: write all calls as items of one list")
        return calls

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``."""
        return f"[{', '.join(map(_write_call, calls))}]"


def find_list(text: str, after: int = 0) -> int | None:
    """Where a list of calls begins, from ``after`` on; None where there is none."""
    found = _START.search(text, after)
    return found.start() if found else None


def find_loose_list(text: str, after: int = 0) -> int | None:
    """The same for what only resembles such a list: prose may do so too."""
    found = _LOOSE_START.search(text, after)
    return found.start() if found else None


def list_follows(text: str, end: int) -> bool:
    """Whether a list of calls stands directly behind calls that end there; one within words is told of, not made."""
    between = _BETWEEN.match(text, end)
    assert between is not None
    return bool(_START.match(text, between.end()))


def read_list(text: str, start: int) -> tuple[list[ToolCall], int]:
    """The calls of the list that begins at ``start``, and where it ends.

    Raises:
        CallFormatError: it is not closed, or holds something else than calls with literals by name.
    """
    source, end = _list_source(text, start)
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise CallFormatError(f"the list of calls does not parse: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError) as error:  # half a surrogate pair, brackets thousands deep
        raise CallFormatError(f"the list of calls does not parse: {type(error).__name__}: {str(error)[:80]}") from None
    if not isinstance(tree, ast.List):
        raise CallFormatError("the calls must stand in one list: [NAME(...), NAME(...)]")
    return [_read_call(item) for item in tree.elts], end


def _list_source(text: str, start: int) -> tuple[str, int]:
    """The text of the list, up to its closing bracket, and where it ends; escapes that Python does not know stay what
    they are."""
    parts: list[str] = []
    depth, position = 0, start
    for token in _TOKEN.finditer(text, start):
        parts.append(text[position : token.start()])
        position = token.end()
        if token["unclosed"]:
            raise CallFormatError("the list of calls does not parse: a quoted text in it is not closed")
        raw = (token["prefix"] or "").lower() == "r"
        parts.append(token.group() if raw or not token["body"] else _ESCAPE.sub(_keep_unknown, token.group()))
        depth += bool(token["open"]) - bool(token["close"])
        if depth == 0:
            return "".join(parts), position
    raise CallFormatError("the list of calls is not closed by ]")


def _keep_unknown(escape: re.Match[str]) -> str:
    return escape.group() if escape[1] in _KNOWN_ESCAPES else "\\" + escape.group()


def _read_call(item: ast.expr) -> ToolCall:
    if not isinstance(item, ast.Call) or not isinstance(item.func, ast.Name):
        raise CallFormatError(f"each item of the list must be a call NAME(...); got {_shown(item)}")
    name = item.func.id
    if item.args:
        raise CallFormatError(f"the arguments of {name[:80]} must be given by name; got {_shown(item.args[0])}")
    arguments: dict[str, Any] = {}
    for keyword in item.keywords:
        if keyword.arg is None:
            raise CallFormatError(f"the arguments of {name[:80]} must be given by name; got **")
        if keyword.arg in arguments:
            raise CallFormatError(f"{name[:80]} got the argument {keyword.arg[:80]!r} twice")
        arguments[keyword.arg] = _read_value(keyword.value)
    return ToolCall(name, arguments)


def _read_value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | str() | int() | None):
            return node.value
        case ast.Constant(value=float(number)) if math.isfinite(number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return -_read_value(node.operand)
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.List() | ast.Tuple():
            return [_read_value(item) for item in node.elts]
        case ast.Dict():
            return {_read_key(key): _read_value(value) for key, value in zip(node.keys, node.values, strict=True)}
    raise CallFormatError(f"arguments must be literals (text, numbers, lists, dictionaries); got {_shown(node)}")


def _read_key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise CallFormatError("the keys of a dictionary must be text")


def _shown(node: ast.expr) -> str:
    return type(node).__name__


def _write_call(call: ToolCall) -> str:
    if not all(word.isidentifier() and word.isascii() for word in (call.name, *call.arguments)):
        raise BadInputError(f"the call {call.name[:80]!r} cannot be written as Python: its names are no identifiers")
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})"
