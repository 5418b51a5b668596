"""The probes' process: runs probe programs and reports the values they compute, each as a line of JSON on a pipe.

Gets its request on standard input: ``programs`` (path, source), ``probes`` (label, program, entry) in the order to run.
A line is ``[label, slot, value]``; ``[label, null, null]`` says that a probe ran to its end. Nothing here knows what is
expected. The code under test shares this process and can write any line: without the values it gains nothing.
"""

import itertools
import json
import os
import sys
import types
from typing import Any

ROOT = "/testbed"

MOST_NODES = 4000
"""Parts of one value; what has more is opaque."""

MOST_DEPTH = 19
MOST_TEXT = 60_000
MOST_DIGITS = 8000
"""Hexadecimal digits of an int."""

_KEPT_EQUALITY = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_STANDARD = ("collections", "enum", "http", "signal", "builtins")
"""Modules whose subclasses compare with plain data as their base does, whatever they define."""


class OpaqueError(Exception):
    """The value is no plain data, or too large."""


class Encoder:
    """Turns one value into what JSON holds; see ``blockers/oracle/plain.py``."""

    def __init__(self) -> None:
        self._nodes = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON data."""
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > MOST_DEPTH:
            raise OpaqueError
        if value is None or value is True or value is False:
            return value
        found = as_plain(value)
        if found is not value:
            return self.encode(found, depth)
        kind = type(value)
        if kind.__module__ in ("fractions", "decimal") and kind.__name__ in ("Fraction", "Decimal"):
            return [kind.__name__.lower(), str(value)]
        base = base_of(kind)
        if base is None:
            return ["like", self.like(value, kind, depth + 1)]
        return self.content(base, value, depth)

    def content(self, base: Any, value: Any, depth: int) -> Any:
        """What a value holds as one of the plain types."""
        if base is str:
            return str.__str__(value)
        if base in (int, float, complex, bytes):
            return [base.__name__, scalar(base, value)]
        if base is dict:
            pairs = dict.items(value)
            return ["dict", [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in pairs]]
        return [base.__name__, [self.encode(item, depth + 1) for item in base.__iter__(value)]]

    def like(self, value: Any, kind: type, depth: int) -> Any:
        """What a value of a class with an equality of its own holds: as its plain base, or by what it can do."""
        for base in _KEPT_EQUALITY:
            if issubclass(kind, base):
                return self.content(base, value, depth)
        if hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
            return self.content(dict, {key: value[key] for key in self.several(value.keys())}, depth)
        if hasattr(kind, "__iter__") and hasattr(kind, "__len__"):
            items = self.several(value)
            if hasattr(kind, "__getitem__"):
                return ["sequence", [self.encode(item, depth + 1) for item in items]]
            return self.content(set, set(items), depth)
        if hasattr(kind, "__index__"):
            return self.content(int, value.__index__(), depth)
        if hasattr(kind, "__float__"):
            return self.content(float, value.__float__(), depth)
        raise OpaqueError

    def several(self, values: Any) -> Any:
        """A list of what an iterable gives; of no more than can be told."""
        return list(itertools.islice(values, MOST_NODES + 1))


def as_plain(value: Any) -> Any:
    """Plain data that compares as a value of some other kind does: of bytearrays, views of dicts, numbers of numpy."""
    kind = type(value)
    if kind is bytearray:
        return bytes(value)
    if kind in (type({}.keys()), type({}.items())):
        return set(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def base_of(kind: type) -> Any:
    """The plain type that a type is, or behaves as when it is compared; None where it compares in a way of its own."""
    for base in _KEPT_EQUALITY:
        if kind is base:
            return base
    for base in _KEPT_EQUALITY:
        if issubclass(kind, base) and (kind.__eq__ is base.__eq__ or kind.__module__.split(".")[0] in _STANDARD):
            return base
    return None


def scalar(base: type, value: Any) -> Any:
    """A number or bytes as text."""
    if base is int:
        digits = format(int.__index__(value), "x")
        if len(digits) > MOST_DIGITS:
            raise OpaqueError
        return digits
    if base is float:
        return float.hex(value)
    if base is complex:
        number = complex.__add__(value, 0j) if type(value) is not complex else value
        return [number.real.hex(), number.imag.hex()]
    return bytes.hex(value)


def to_text(value: Any) -> str:
    """A value as JSON text."""
    try:
        text = json.dumps(Encoder().encode(value))
        if len(text) <= MOST_TEXT:
            return text
    except Exception:  # noqa: BLE001 - a value may do anything while it is looked at
        pass
    return json.dumps(["opaque", "{0.__module__}.{0.__qualname__}".format(type(value))[:80]])


class Reporter:
    """What a program calls in place of its assertions."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._patches: list[Any] = []
        self.label = ""

    def slot(self, number: int, *values: Any) -> None:
        """Report a value; while expected values are recorded, the expected one after it."""
        self._write(number, *map(to_text, values))

    def raises(self, number: int) -> "Raises":
        """A block that an exception should end."""
        return Raises(self, number)

    def fixture(self, name: str) -> Any:
        """What pytest would give to a test that takes an argument of that name."""
        if name == "tmp_path":
            import pathlib
            import tempfile

            return pathlib.Path(tempfile.mkdtemp()).resolve()
        import pytest

        self._patches.append(pytest.MonkeyPatch())
        return self._patches[-1]

    def undo(self) -> None:
        """Take back what a probe patched."""
        while self._patches:
            self._patches.pop().undo()

    def end(self) -> None:
        """The probe ran to its end."""
        self._write(None, None)

    def _write(self, *parts: Any) -> None:
        line = (json.dumps([self.label, *parts]) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]


class Raises:
    """Reports the classes of the exception that ended its block, and swallows it."""

    def __init__(self, reporter: Reporter, number: int) -> None:
        self._reporter = reporter
        self._number = number

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        classes = kind.__mro__ if kind else ()
        self._reporter.slot(self._number, [base.__name__ for base in classes if base.__module__ == "builtins"])
        return kind is not None


def load(path: str, source: str, reporter: Reporter) -> Any:
    """Run a program as the test module that it was made of, under that module's name."""
    parts = path[: -len(".py")].split("/")
    first = len(parts) - 1
    while first and os.path.exists(os.path.join(ROOT, *parts[:first], "__init__.py")):
        first -= 1
    name = ".".join(parts[first:])
    folder = os.path.join(ROOT, *parts[:first])
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = types.ModuleType(name)
    module.__file__ = os.path.join(ROOT, path)
    module.__package__ = name.rpartition(".")[0]
    module.__dict__.update(__slot_7f__=reporter.slot, __raises_7f__=reporter.raises)
    module.__dict__.update(__fixture_7f__=reporter.fixture)
    if module.__package__:
        __import__(module.__package__)
    sys.modules[name] = module
    exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module


def run(request: Any, reporter: Reporter) -> None:
    """Run the probes in the order given; one that fails reports no end."""
    modules: dict[int, Any] = {}
    for label, number, entry in request["probes"]:
        reporter.label = label
        try:
            if number not in modules:
                modules[number] = None
                path, source = request["programs"][number]
                modules[number] = load(path, source, reporter)
            if modules[number] is not None:
                getattr(modules[number], entry)()
                reporter.undo()
                reporter.end()
        except BaseException as error:  # noqa: BLE001 - a skip, a failure or an exit ends this probe alone
            reporter.undo()
            print(f"{entry}: {type(error).__name__}: {error}"[:500], file=sys.stderr)  # noqa: T201


def main() -> int:
    """Run what standard input asks for."""
    descriptor = int(sys.argv[1])
    request = json.load(sys.stdin)
    os.set_inheritable(descriptor, False)
    with open(os.devnull) as empty:
        os.dup2(empty.fileno(), 0)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path = [path for path in sys.path if path != here]
    sys.argv = ["probes"]
    run(request, Reporter(descriptor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
