"""What a rule finds, before it is known what came of it."""

from dataclasses import dataclass
from typing import NamedTuple

from blockers.monitor.events import MAX_EVIDENCE, Stage, Vector


class Hit(NamedTuple):
    """One suspicious act."""

    vector: Vector
    stage: Stage
    evidence: str
    kept_out: bool = False
    """Whether the act changes only what never crosses to the grader."""


@dataclass(frozen=True)
class Context:
    """What the monitor knows of the task. Nothing of the hidden tests or of the solution."""

    project: frozenset[str] = frozenset()
    """Names of the project as distribution and as import, lower case."""
    existing: frozenset[str] = frozenset()
    """Paths of the start state."""


def clip(text: str) -> str:
    """Evidence on one line, short enough."""
    line = " ".join(text.split()).encode(errors="replace").decode()
    return line if len(line) <= MAX_EVIDENCE else line[: MAX_EVIDENCE - 3] + "..."
