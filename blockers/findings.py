"""What an audit reports: one place where something stands that an agent must not reach."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing found. An audit that finds nothing returns no findings; there are no degrees."""

    vector: str
    """A short fixed word for the kind of leak (``tag``, ``alternates``, ``installed-copy``)."""
    where: str
    """Where it stands: ``ROOT:PATH`` of a file, a path inside the git directory, or an object id."""
    line: int | None
    """Line in that file, from 1; None where lines mean nothing."""
    what: str
    """What was found there, in words, with the least that proves it."""

    def __str__(self) -> str:
        line = f":{self.line}" if self.line is not None else ""
        return f"{self.vector}: {self.where}{line}: {self.what}"
