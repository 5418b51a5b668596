"""What an agent may have of a package index: nothing newer than a date, no copy of the project that its task is on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from packaging.utils import canonicalize_name

MIN_COPY_BYTES = 256
"""Smaller files are alike by chance."""


class RefusedError(Exception):
    """A request that is not served; the text is for the agent and for the log.

    Args:
        status: of HTTP.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rule of one task's environment."""

    until: datetime
    """Files uploaded at or after this moment do not exist; it bears a time zone."""
    projects: frozenset[str]
    """Projects that are refused, canonical (PEP 503)."""
    modules: frozenset[str] = frozenset()
    """Top-level packages and modules that no served file may hold, lower case."""
    files: frozenset[tuple[int, int]] = frozenset()
    """CRC-32 and size of the project's source files: no served file may hold one of them, whatever its name."""

    def __post_init__(self) -> None:
        if self.until.tzinfo is None:
            raise ValueError(f"until is {self.until}: expected a moment with a time zone")

    def require_project(self, name: str) -> None:
        """Refuse the target project.

        Args:
            name: as the request spells it.

        Raises:
            RefusedError: it is the task's own project.
        """
        if canonicalize_name(name) in self.projects:
            raise RefusedError(404, f"{name} is the project of this task: it is not offered here")


def make_policy(
    *,
    until: datetime,
    projects: Collection[str],
    modules: Collection[str],
    files: Collection[tuple[int, int]],
) -> Policy:
    """The policy for a project.

    Args:
        projects: its names as a distribution, in any spelling.
        modules: its top-level packages and modules; a project that is named like one is refused as well.
        files: CRC-32 and size of its source files.
    """
    return Policy(
        until=until,
        projects=frozenset(canonicalize_name(name) for name in (*projects, *modules)),
        modules=frozenset(name.lower() for name in modules),
        files=frozenset(found for found in files if found[1] >= MIN_COPY_BYTES),
    )
