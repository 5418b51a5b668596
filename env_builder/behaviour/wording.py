"""The words for behaviours: titles, sentences and examples with their outputs."""

from collections.abc import Sequence
from typing import NamedTuple

from env_builder.behaviour.absent import Absent
from env_builder.behaviour.behaviour import Behaviour

_INLINE = 90
"""Longest value, in characters, that stands in a line of text."""


class Item(NamedTuple):
    """One part of a statement."""

    subject: str
    headline: str
    """The part as a title of its own."""
    sentence: str
    code: str
    """Example with outputs, in doctest's form; empty where there is none."""
    after: tuple[str, ...]
    """Paragraphs below the example."""


def absent_item(absent: Absent, imports: Sequence[str], uses: Sequence[Behaviour]) -> Item:
    """The words for a thing that the project lacks: the imports that should work, and uses with their results."""
    subject = f"`{absent.name or absent.module}`"
    what = f"{subject} is missing from `{absent.module}`" if absent.name else f"The module {subject} is missing"
    sentence = f"{what}. It should exist and work like this:" if uses else f"{what}; it should exist."
    shown = [f">>> {line}" for line in imports]
    if not shown and absent.name:
        shown.append(f">>> from {absent.module} import {absent.name}")
    for use in uses:
        lines = _with_expected(use).splitlines()
        shown += [line for line in lines if not (line.startswith((">>> from ", ">>> import ")) and line in shown)]
    return Item(subject, what, sentence, "\n".join(shown), ())


def errors_item(errors: Sequence[str]) -> Item:
    """The words for errors of which no call is known."""
    shown = "\n".join(f"- `{error}`" if "`" not in error and "\n" not in error else f"- {error}" for error in errors)
    headline = f"Unexpected `{errors[0].partition(':')[0]}`"
    return Item("", headline, f"Code that should run without an error fails with:\n\n{shown}", "", ())


def item_of(behaviour: Behaviour) -> Item:
    """The words for one behaviour."""
    subject = f"`{behaviour.subject}`" if behaviour.subject else ""
    named = subject or "This code"
    headline, sentence = _said(behaviour, named)
    if behaviour.module and subject:
        sentence = sentence.replace(subject, f"{subject} (from `{behaviour.module}`)", 1)
    return Item(
        subject, headline.replace("This code", "Code"), sentence, _with_output(behaviour), _expectation(behaviour)
    )


def title_of(items: Sequence[Item]) -> str:
    """The title of a statement."""
    subjects = list(dict.fromkeys(item.subject for item in items if item.subject))
    if len(items) == 1 or len(subjects) < 2:
        return next((item.headline for item in items if item.subject), items[0].headline)
    return f"{join_words(subjects)} do not behave as expected"


def join_words(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _said(behaviour: Behaviour, named: str) -> tuple[str, str]:
    """A headline and a sentence."""
    error = behaviour.got.partition(":")[0]
    if behaviour.fault == "value":
        return f"{named} gives a wrong result", f"{named} gives a wrong result:"
    if behaviour.fault == "no_exception":
        return f"{named} does not raise `{behaviour.expected}`", f"{named} accepts what it should refuse:"
    if behaviour.fault == "exception":
        instead = f"instead of `{behaviour.expected}`" if behaviour.refuses else "which it should not"
        return f"{named} raises `{error}`", f"{named} raises `{error}`, {instead}:"
    return f"{named} does not behave as expected", f"{named} does not behave as expected:"


def _with_output(behaviour: Behaviour) -> str:
    """The example with what comes out of it now."""
    if behaviour.fault == "exception" or behaviour.got.startswith("AssertionError"):
        return f"{behaviour.example}\nTraceback (most recent call last):\n  ...\n{behaviour.got}"
    return f"{behaviour.example}\n{behaviour.got}".rstrip("\n")


def _with_expected(behaviour: Behaviour) -> str:
    """The example with what should come out."""
    if behaviour.refuses:
        return f"{behaviour.example}\nTraceback (most recent call last):\n  ...\n{behaviour.expected}"
    return f"{behaviour.example}\n{behaviour.expected}".rstrip("\n")


def _expectation(behaviour: Behaviour) -> tuple[str, ...]:
    """Paragraphs that say what should come out, and how the values came about."""
    said: list[str] = []
    if behaviour.fault == "no_exception":
        said.append(f"No exception is raised; `{behaviour.expected}` is expected.")
    elif behaviour.expected:
        raised = " is raised." if behaviour.refuses else ""
        said.append(f"Expected: {_quoted(behaviour.expected)}{raised}")
    elif behaviour.fault == "exception":
        said.append("Expected: no exception.")
    if behaviour.explained:
        said.append("Seen on the way:\n\n" + "\n".join(f"- `{line}`" for line in behaviour.explained))
    if behaviour.unknown:
        names = join_words([f"`{name}`" for name in behaviour.unknown])
        said.append(f"(The example is an excerpt: {names} must be supplied.)")
    return tuple(said)


def _quoted(text: str) -> str:
    if len(text) <= _INLINE and "\n" not in text and "`" not in text:
        return f"`{text}`"
    return f"\n\n```python\n{text}\n```"
