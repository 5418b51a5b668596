"""One command of a shell text, as it would be run: words with quotes removed, what feeds it, what stands around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

UNKNOWN = "\ufffd"
"""Stands in a word for a part that only the running shell knows: a variable, the output of a command."""


class Redirect(NamedTuple):
    """A redirection to or from a file."""

    operator: str
    """``>``, ``>>``, ``<``, ..."""
    target: str


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A command with its words; wrappers (``env``, ``timeout``, ``sh -c``) have been taken off, each leaving its own
    invocation where it matters by itself."""

    words: tuple[str, ...]
    """Name and arguments; none for a bare redirection."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables set for this command alone."""
    redirects: tuple[Redirect, ...] = ()
    stdin: str | None = None
    """What it reads, where that is written in the text: a here-document, or what an ``echo`` pipes to it."""
    feeds: str = ""
    """Name of the command that reads its output, or empty."""
    background: bool = False
    """Whether the shell goes on without waiting for it."""
    forever: bool = False
    """Whether it stands in a loop that has no end or a million rounds."""

    @property
    def name(self) -> str:
        """The program's name without its folder."""
        return PurePosixPath(self.words[0]).name if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words after the name."""
        return self.words[1:]

    @property
    def plain(self) -> tuple[str, ...]:
        """The arguments that are no options."""
        return tuple(word for word in self.arguments if not word.startswith("-"))

    def has(self, *options: str) -> bool:
        """Whether one of the long options (``--all``, also with ``=VALUE``) or letters (``-a``, also in ``-xa``) is
        given."""
        for word in self.arguments:
            for option in options:
                if word == option or (option.startswith("--") and word.startswith(option + "=")):
                    return True
                if len(option) == 2 and word[:1] == "-" != word[1:2] and option[1] in word[1:]:
                    return True
        return False

    @property
    def text(self) -> str:
        """The words as evidence."""
        return " ".join(self.words)
