"""How an episode ended: exactly one of four outcomes, of which only ``Scored`` can hold a reward other than 0.

``InfraFailed`` is no reward at all: its 0.0 stands where an interface demands a number, and ``masked`` says that it
must be left out of baselines, losses and means, counted, and tried again.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

Limit = Literal["steps", "time", "timeouts", "abandoned", "context"]
"""``steps``: no submit within the turns allowed. ``time``: the commands together took longer than allowed.
``timeouts``: several commands in a row ran into their timeout. ``abandoned``: the caller closed the episode.
``context``: the policy's context is full."""


@dataclass(frozen=True)
class Scored:
    """The work was submitted and graded."""

    reward: float
    """1 or 0."""
    detail: str = ""
    """The grader's reason; for the trainer's eyes, never the policy's."""
    passed_share: float = field(default=0.0, compare=False)
    """Share of the expected tests that passed: for curves and for shaping, and never the reward."""
    name: ClassVar[str] = "Scored"
    masked: ClassVar[bool] = False


@dataclass(frozen=True)
class LimitStopped:
    """A limit ended the episode before a submit; the work is not graded."""

    which: Limit
    name: ClassVar[str] = "LimitStopped"
    masked: ClassVar[bool] = False
    reward: ClassVar[float] = 0.0

    @property
    def detail(self) -> str:
        """Which limit."""
        return self.which


@dataclass(frozen=True)
class PolicyFault:
    """The policy broke its own sandbox, as by using up all memory."""

    what: str
    name: ClassVar[str] = "PolicyFault"
    masked: ClassVar[bool] = False
    reward: ClassVar[float] = 0.0

    @property
    def detail(self) -> str:
        """What it did."""
        return self.what


@dataclass(frozen=True)
class InfraFailed:
    """The machine failed, in the sandbox or while grading."""

    why: str
    name: ClassVar[str] = "InfraFailed"
    masked: ClassVar[bool] = True
    reward: ClassVar[float] = 0.0

    @property
    def detail(self) -> str:
        """What failed."""
        return self.why


Outcome = Scored | LimitStopped | PolicyFault | InfraFailed
