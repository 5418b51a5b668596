"""Plain data that came out of a sandbox, as JSON text: None, bool, numbers, str, bytes and their lists, tuples, dicts
and sets.

The one who wrote the text may be hostile. Nothing here runs what it says: no pickle, no class of its own, bounded in
size and depth. What was no plain data inside is ``opaque`` and never equal to anything.

    null true false "text"                   themselves
    ["int", "-ff"]  ["float", "0x1.8p+1"]    hexadecimal, so exact
    ["complex", ["0x0.0p+0", "0x1.0p+0"]]    real and imaginary part
    ["bytes", "00ff"]                        hexadecimal
    ["fraction", "1/3"]  ["decimal", "0.1"]  as these write themselves
    ["list", [...]]  ["tuple", [...]]  ["set", [...]]  ["frozenset", [...]]
    ["dict", [[KEY, VALUE], ...]]
    ["like", CONTENT]                        of a class with an equality of its own, with what it holds
    ["like", ["sequence", [...]]]            the same, of no list or tuple
    ["opaque", "module.Class"]
"""

import json
from collections.abc import Callable
from decimal import Decimal, DecimalException
from fractions import Fraction
from typing import Any

MOST_CHARACTERS = 64 << 10
"""Longest text of one value."""

MOST_DEPTH = 20
"""Containers in containers."""


MOST_DIGITS = 400
"""Characters of a fraction or decimal, which are not as quick to read as hexadecimal; those with an exponent are not
read at all."""


class NotPlainError(ValueError):
    """The text does not stand for plain data: opaque, over a limit, or malformed."""


class AnySequence(list[object]):
    """What a value of a class of its own gave one by one: equal to any list or tuple of the same."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | tuple) and list(self) == list(other)

    def __ne__(self, other: object) -> bool:
        return not self == other


def decode_plain(text: str, *, alike: bool = False) -> object:
    """The value that a text stands for.

    Args:
        alike: take for plain data what compares in a way of its own and holds it. Not for an expected value: the test
            compares that as its class will have it.

    Raises:
        NotPlainError: it stands for none.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotPlainError(f"{len(text)} characters; expected {MOST_CHARACTERS} at most")
    try:
        return _value(json.loads(text), 0, alike)
    except (ValueError, TypeError, ArithmeticError, DecimalException, RecursionError) as error:
        raise NotPlainError(str(error)) from error


def _value(shown: object, depth: int, alike: bool) -> object:
    match shown:
        case None | bool() | str():
            return shown
        case ["int", str() as digits] if digits.lstrip("-").isalnum():
            return int(digits, 16)
        case ["float", str() as digits]:
            return float.fromhex(digits)
        case ["fraction", str() as text] if len(text) <= MOST_DIGITS and "e" not in text.lower():
            return Fraction(text)
        case ["decimal", str() as text] if len(text) <= MOST_DIGITS and "e" not in text.lower():
            return _finite(Decimal(text))
        case ["complex", [str() as real, str() as imaginary]]:
            return complex(float.fromhex(real), float.fromhex(imaginary))
        case ["bytes", str() as digits]:
            return bytes.fromhex(digits)
        case [str() as kind, list() as items] if kind in _CONTAINERS and depth < MOST_DEPTH:
            return _CONTAINERS[kind]([_value(item, depth + 1, alike) for item in items])
        case ["dict", list() as pairs] if depth < MOST_DEPTH:
            return dict(_pair(pair, depth + 1, alike) for pair in pairs)
        case ["like", ["sequence", list() as items]] if alike and depth < MOST_DEPTH:
            return AnySequence(_value(item, depth + 1, alike) for item in items)
        case ["like", content] if alike and depth < MOST_DEPTH:
            return _value(content, depth + 1, alike)
    raise NotPlainError(f"no plain value: {json.dumps(shown)[:80]}")


def _finite(number: Decimal) -> Decimal:
    """A decimal that can be compared with anything: a signalling NaN raises."""
    if not number.is_finite():
        raise NotPlainError("a decimal that is no number")
    return number


def _pair(pair: object, depth: int, alike: bool) -> tuple[Any, object]:
    match pair:
        case [key, value]:
            return _value(key, depth, alike), _value(value, depth, alike)
    raise NotPlainError("a pair of a dict has not two parts")


_CONTAINERS: dict[str, Callable[[list[Any]], object]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
