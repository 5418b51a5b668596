"""Programs that run others: what ``env``, ``timeout``, ``xargs``, ``sh -c``, ``find -exec``, ``... | sh`` would run."""

from collections.abc import Iterator
from dataclasses import replace

from blockers.monitor.invocation import Invocation
from blockers.monitor.reader import READER
from blockers.monitor.shell import MAX_DEPTH

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})

_WITH_VALUE = {
    "timeout": ("-s", "-k", "--signal", "--kill-after"),
    "nice": ("-n", "--adjustment"),
    "xargs": ("-n", "-I", "-P", "-L", "-d", "-a", "--arg-file", "-s", "-E"),
    "env": ("-u", "-C", "--unset", "--chdir"),
    "sudo": ("-u", "-g", "-C", "-h", "-p"),
    "doas": ("-u",),
    "stdbuf": ("-i", "-o", "-e"),
    "ionice": ("-c", "-n"),
    "faketime": (),
}
"""Wrappers, each with its options that take the next word."""

_PLAIN_WRAPPERS = frozenset({"command", "builtin", "exec", "nohup", "setsid", "time", "chronic", "unbuffer", "busybox"})


def expand(text: str, *, depth: int = 0) -> list[Invocation]:
    """All invocations of a shell text, those behind wrappers included; a wrapper comes before what it wraps.

    Raises:
        UnreadableError: the text ended the reader, or is nested too deeply.
    """
    return [found for first in READER.read(text) for found in unwrap(first, depth=depth)]


def unwrap(found: Invocation, *, depth: int = 0) -> Iterator[Invocation]:
    """An invocation and those that it would run."""
    yield found
    if depth >= MAX_DEPTH or not found.words:
        return
    for inner in _inner_words(found):
        if inner:
            yield from unwrap(replace(found, words=tuple(inner)), depth=depth + 1)
    for text in _inner_texts(found):
        for inner_found in expand(text, depth=depth + 1):
            yield replace(
                inner_found,
                forever=inner_found.forever or found.forever,
                background=inner_found.background or found.background,
            )


def _inner_words(found: Invocation) -> Iterator[list[str]]:
    words = list(found.arguments)
    if found.name == "find":
        for place, word in enumerate(words):
            if word in ("-exec", "-execdir", "-ok"):
                yield [part for part in _until(words[place + 1 :], (";", "+")) if part != "{}"] + _find_roots(found)
            if word == "-delete":
                yield ["rm", *_find_roots(found), *_after(words, "-name")]
        return
    if found.name in _PLAIN_WRAPPERS:
        yield _skip_options(words, ())
    elif found.name in _WITH_VALUE:
        rest = _skip_options(words, _WITH_VALUE[found.name])
        if found.name in ("timeout", "faketime"):
            rest = rest[1:]
        if found.name == "env":
            rest = _skip_assignments(rest)
        if found.name == "xargs" and rest:
            rest = [*rest, *(found.stdin or "").split()]
        yield rest


def _inner_texts(found: Invocation) -> Iterator[str]:
    if found.name in SHELLS:
        code = _after_flag(found, "c")
        if code is not None:
            yield code
        elif found.stdin and not found.plain:
            yield found.stdin
    elif found.name == "eval":
        yield " ".join(found.arguments)
    elif found.name == "trap" and len(found.arguments) > 1:
        yield found.arguments[0]
    elif found.name == "watch":
        yield " ".join(found.plain)


def _after_flag(found: Invocation, letter: str) -> str | None:
    """The word after ``-c``, also written ``-lc``."""
    for place, word in enumerate(found.arguments):
        if word.startswith("-") and not word.startswith("--") and word.endswith(letter):
            return found.arguments[place + 1] if place + 1 < len(found.arguments) else None
    return None


def _skip_options(words: list[str], with_value: tuple[str, ...]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in with_value else words[1:]
    return words


def _skip_assignments(words: list[str]) -> list[str]:
    while words and "=" in words[0].lstrip("="):
        words = words[1:]
    return words


def _until(words: list[str], ends: tuple[str, ...]) -> list[str]:
    return words[: next((place for place, word in enumerate(words) if word in ends), len(words))]


def _after(words: list[str], option: str) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words[:-1]) if word == option]


def _find_roots(found: Invocation) -> list[str]:
    roots = []
    for word in found.arguments:
        if word.startswith("-") or word in ("(", "!"):
            break
        roots.append(word)
    return roots or ["."]
