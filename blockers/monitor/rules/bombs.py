"""Memory, processes, disk or output used up on purpose."""

import ast
import re
from collections.abc import Iterator

from blockers.monitor.acts import Acts
from blockers.monitor.events import Stage, Vector
from blockers.monitor.hit import Context, Hit, clip
from blockers.monitor.invocation import Invocation
from blockers.monitor.script import Script

_LARGE = 10 << 30
"""Bytes from which on an amount can only be meant to fill the machine; its limits lie below."""

_UNITS = {"": 1, "c": 1, "w": 2, "b": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = re.compile(r"^[+]?(\d+)([a-z]?)i?b?$", re.IGNORECASE)
_STOPPING = frozenset({"head", "sed", "awk", "timeout", "grep", "dd"})
_ENDLESS_FILES = frozenset({"/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"})


def bomb_hits(acts: Acts, context: Context) -> Iterator[Hit]:
    """Hits in commands, in Python that is run and in other inline code."""
    del context
    for command in acts.commands:
        if _is_bomb(command):
            yield Hit(Vector.RESOURCE_BOMB, Stage.EXHAUST, clip(command.text))
    for script in acts.scripts:
        yield from (Hit(Vector.RESOURCE_BOMB, Stage.EXHAUST, clip(what)) for what in script_bombs(script))
    for code in acts.foreign:
        if re.search(r"\bfork\s+while\b|while\s*\(?1\)?.*fork", code):
            yield Hit(Vector.RESOURCE_BOMB, Stage.EXHAUST, clip(code))


def _is_bomb(command: Invocation) -> bool:
    name = command.name
    ends = command.feeds in _STOPPING
    if (
        command.forever
        and (command.background or command.feeds == name)
        and name not in ("cp", "mv", "true", ":", "echo", "tee")
    ):
        if name == "sleep" and command.plain and _number(command.plain[0]) < 10:
            return False
        return name != "sed" and not (name in ("sh", "bash", "python") and not command.background)
    if command.forever and command.feeds == name and name:
        return True
    if command.forever and name in ("mkdir", "touch", "mktemp", "fallocate"):
        return True
    if name == "yes":
        return not ends and not command.feeds
    if name in ("cat", "tail", "less") and any(word in _ENDLESS_FILES for word in command.plain):
        return not ends
    if name in ("stress", "stress-ng"):
        return True
    if name == "dd":
        return _dd_bytes(command) >= _LARGE
    if name in ("fallocate", "truncate", "head", "split"):
        return any(_size(word.lstrip("-clns=")) >= _LARGE for word in command.arguments)
    return False


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0


def _size(word: str) -> int:
    found = _SIZE.match(word)
    return int(found[1]) * _UNITS.get(found[2].lower(), 1) if found else 0


def _dd_bytes(command: Invocation) -> int:
    """How much ``dd`` would write; endless where it reads an endless file without a count."""
    given = dict(word.split("=", 1) for word in command.arguments if "=" in word)
    if "count" not in given:
        endless = given.get("if") in _ENDLESS_FILES
        return _LARGE if endless and not given.get("of", "x").startswith("/dev/") else 0
    return _size(given.get("bs", "512")) * _size(given["count"])


def script_bombs(script: Script) -> Iterator[str]:
    """What in Python code uses the machine up."""
    for node in script.nodes:
        if isinstance(node, ast.While) and _endless(node):
            inside = [script.dotted(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
            for name in inside:
                tail = name.rpartition(".")[2]
                if name in ("os.fork", "print", "threading.Thread") or tail in ("append", "extend", "Popen"):
                    yield f"while True: {name}"
        elif (
            isinstance(node, ast.Call)
            and node.args
            and script.dotted(node.func) in ("bytearray", "bytes", "range.__len__")
        ):
            if _value(node.args[0]) >= _LARGE:
                yield ast.unparse(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = (node.left, node.right)
            sequence = any(isinstance(side, ast.List | ast.Constant) and not _value(side) for side in sides)
            if sequence and max(_value(side) for side in sides) >= _LARGE:
                yield ast.unparse(node)


def _endless(node: ast.While) -> bool:
    """``while True`` that nothing leaves."""
    true = isinstance(node.test, ast.Constant) and bool(node.test.value)
    return true and not any(isinstance(inner, ast.Break | ast.Return | ast.Raise) for inner in ast.walk(node))


def _value(node: ast.expr) -> float:
    """A number written as a literal or as a power or shift of literals; 0 for all else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(min(abs(node.value), 1e30))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and right < 60:
            return float(min(left, 1e6) ** right) if left < 1e4 else 1e30
        if isinstance(node.op, ast.LShift) and right < 100:
            return left * 2**right
        if isinstance(node.op, ast.Mult):
            return left * right
    return 0.0
