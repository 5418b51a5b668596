"""Lines as git, grep and sed count them: a line ends at a line feed, and at nothing else (``str.splitlines`` also cuts
at form feeds and at a dozen rarer characters)."""

import re

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def split_lines(text: str) -> list[str]:
    """The lines of ``text``, each with its end; joined they are the text again."""
    return _LINE.findall(text)
