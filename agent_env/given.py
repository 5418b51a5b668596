"""Checks of what a caller of the environments gives; each error names what was got and what is expected."""

import math
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import BadInputError

LONGEST_SECONDS = threading.TIMEOUT_MAX
"""No thread can wait longer."""


def whole_number(name: str, value: object, *, or_none: bool = False) -> None:
    """A whole number above 0; a truth value is none.

    Args:
        or_none: whether None is taken too.

    Raises:
        BadInputError: it is something else.
    """
    if or_none and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        more = ", or None for no limit" if or_none else ""
        raise BadInputError(f"{name} is {_shown(value)}; expected a whole number above 0{more}")


def seconds(name: str, value: object, *, endless: bool = False) -> float:
    """A number of seconds above 0.

    Args:
        endless: whether infinity is one.

    Raises:
        BadInputError: it is something else.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (0 < value <= LONGEST_SECONDS or (endless and value == math.inf)):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    most = "math.inf for no limit" if endless else f"at most {LONGEST_SECONDS:.0f}"
    raise BadInputError(f"{name} is {_shown(value)}; expected a number above 0 (seconds; {most})")


def flag(name: str, value: object) -> bool:
    """True or False.

    Raises:
        BadInputError: it is something else.
    """
    if not isinstance(value, bool):
        raise BadInputError(f"{name} is {_shown(value)}; expected True or False")
    return value


def text(name: str, value: object, what: str) -> str:
    """A text.

    Args:
        what: what it should say, for the error.

    Raises:
        BadInputError: it is something else.
    """
    if not isinstance(value, str):
        raise BadInputError(f"{name} is {_shown(value)}; expected {what} (str)")
    return value


def path(name: str, value: object) -> Path:
    """A path that this system can hold; whether something is there is not looked at.

    Raises:
        BadInputError: it is something else.
    """
    try:
        if isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value):
            return Path(os.fsdecode(value))
    except (UnicodeEncodeError, TypeError):
        pass
    raise BadInputError(f"{name} is {_shown(value)}; expected a path (str or pathlib.Path)")


def folder(name: str, value: object) -> Path:
    """The path of a folder that is there or can be made.

    Raises:
        BadInputError: it is something else, or a file lies in its way.
    """
    wanted = path(name, value)
    there = next((place for place in (wanted, *wanted.absolute().parents) if os.path.lexists(place)), wanted)
    if not there.is_dir():
        raise BadInputError(f"{name} is {_shown(value)}, and {there} is not a folder; name another, or move that away")
    return wanted


def texts(name: str, value: object, what: str) -> list[str]:
    """Several texts.

    Raises:
        BadInputError: it is something else, as one text alone.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence | set | frozenset):
        raise BadInputError(f"{name} is {_shown(value)}; expected a list of {what}")
    return [text(f"one of {name}", one, what) for one in value]


def seed(value: object) -> int | None:
    """What a generator can be seeded with, or None.

    Raises:
        BadInputError: it is something else.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise BadInputError(f"seed is {_shown(value)}; expected a whole number (int) from 0, or None")


def options(value: object) -> dict[str, Any]:
    """What ``reset`` was told, as a dict.

    Raises:
        BadInputError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadInputError(f"options is {_shown(value)}; expected a dict with names as keys, or None")
    return dict(value)


def _shown(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 100 else f"{said[:97]}..."
