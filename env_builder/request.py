"""One repository to mine: its source and the options that its user gave."""

import re
import shlex
from pathlib import Path
from typing import Annotated

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

PYPI_PREFIX = "pypi:"
"""Starts a source that is a project of the package index."""

_URL = re.compile(r"^(https?|ssh|git|file)://\S+$")
_SCP_LIKE = re.compile(r"^[\w.-]+@[\w.-]+:\S+$")


def is_url(source: str) -> bool:
    """Whether a source is a git URL, the ``user@host:path`` form included."""
    return bool(_URL.match(source) or _SCP_LIKE.match(source))


def _check_requirement(text: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is not a requirement such as 'numpy' or 'numpy>=1.20': {error}") from error
    return text


def _check_test_command(text: str) -> str:
    words = shlex.split(text)
    while words and re.match(r"^\w+=", words[0]):
        words = words[1:]
    if re.match(r"^python[\d.]*$", words[0] if words else "") and words[1:2] == ["-m"]:
        words = words[2:]
    if words[:1] not in (["pytest"], ["py.test"]):
        raise ValueError(f"{text!r} is not a pytest command: expected '[VAR=VALUE ...] [python -m] pytest [ARGS]'")
    return text


class RepoRequest(BaseModel):
    """One repository of the list, as the user wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """``pypi:NAME``, a git URL or a path."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Short name, unique in the list; by default the last part of the source."""
    ref: str | None = Field(default=None, pattern=r"^[^\-\s]\S*$")
    """Branch, tag, version or commit to mine from; None means the head, or the newest release."""
    test_command: Annotated[str, AfterValidator(_check_test_command)] | None = None
    """How the tests are run, where it cannot be found out: a pytest command, with variables before it."""
    test_paths: tuple[str, ...] = ()
    """What pytest is told to collect; empty means: find out."""
    python: str | None = Field(default=None, pattern=r"^3\.\d+$")
    """Interpreter version; None means the one RepoDojo runs on."""
    packages: tuple[Annotated[str, AfterValidator(_check_requirement)], ...] = ()
    """Packages to install beside what the project asks for."""
    exclude: tuple[str, ...] = ()
    """Globs of paths that no task may change."""
    folder: Path = Field(default=Path(), exclude=True)
    """Where relative paths start from: the folder of the list."""

    @property
    def is_pypi(self) -> bool:
        """Whether the source is a project of the package index."""
        return self.source.startswith(PYPI_PREFIX)

    @property
    def is_url(self) -> bool:
        """Whether the source is a git URL."""
        return is_url(self.source)

    @property
    def path(self) -> Path:
        """The directory, where the source is one."""
        return (self.folder / Path(self.source).expanduser()).absolute()
