"""What bounds an episode, and in which form its policy writes."""

from dataclasses import dataclass
from typing import Literal

from agent_env import given
from agent_env.tools.formats import DEFAULT_FORMAT, choose_format
from agent_env.tools.observation import DEFAULT_CHARS
from tasks.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The limits of an episode, and the form in which its policy writes tool calls."""

    max_steps: int = 30
    """Turns."""
    time_limit: float = 1800.0
    """Seconds that the tools may run in all."""
    command_timeout: float = 30.0
    """Seconds that one command may run."""
    silence_timeout: float | None = None
    """Seconds that one command of the shell may print nothing; None: as long as it runs."""
    observation_chars: int = DEFAULT_CHARS
    """Longest observation of one call."""
    timeouts_in_a_row: int = 3
    """So many commands one after the other that are ended for their time or their silence end the episode."""
    call_format: str = DEFAULT_FORMAT
    """One of ``agent_env.tools.FORMATS``."""
    feedback: bool = True
    """Whether an observation gets a note where the environment blocked what was tried."""
    packages: Literal["frozen"] | None = None
    """``frozen``: ``pip install`` works, with wheels from before the date of the task's environment, but none of its
    project; None: no package can be had. See docs/threat-model.md before you turn it on."""

    def __post_init__(self) -> None:
        choose_format(self.call_format)
        if self.packages not in (None, "frozen"):
            raise BadInputError(f"packages is {self.packages!r}; expected None or 'frozen'")
        given.flag("feedback", self.feedback)
        for name in ("max_steps", "observation_chars", "timeouts_in_a_row"):
            given.whole_number(name, getattr(self, name))
        given.seconds("time_limit", self.time_limit, endless=True)
        given.seconds("command_timeout", self.command_timeout)
        if self.silence_timeout is not None:
            given.seconds("silence_timeout", self.silence_timeout)
