"""The tool ``bash``: one command in the persistent shell of the sandbox."""

from typing import ClassVar

from pydantic import Field

from agent_env.sandbox.base import WORK_DIR, CommandResult, Sandbox, StopCause
from agent_env.tools.arguments import Arguments
from agent_env.tools.observation import Observation, clip

SUBMIT_LINE = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""What a command prints first to submit, where the shell is the only tool; mini-swe-agent's word for it."""


class BashArguments(Arguments):
    """Arguments of ``bash``."""

    command: str
    """Shell command."""
    timeout: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Seconds; 0 means the longest allowed."""


class Bash:
    """Runs commands.

    Args:
        timeout: seconds a command may run; an agent may ask for less, and gets this where it asks for more.
        chars: longest observation.
        silence: seconds a command may print nothing; None: as long as it runs.
        submits: whether a command that succeeds and prints ``SUBMIT_LINE`` first ends the work.
    """

    name: ClassVar[str] = "bash"
    signature: ClassVar[str] = "command, timeout?"
    help: ClassVar[str] = f"run a command in a persistent shell, at first in {WORK_DIR}; no network."
    arguments: ClassVar[type[Arguments]] = BashArguments

    def __init__(self, *, timeout: float, chars: int, silence: float | None = None, submits: bool = False) -> None:
        self.timeout = timeout
        self._silence = silence
        self._chars = chars
        self._submits = submits

    def run(self, sandbox: Sandbox, arguments: BashArguments) -> Observation:
        """Run the command; its exit status is told where it is not 0."""
        timeout = min(arguments.timeout or self.timeout, self.timeout)
        result = sandbox.run(arguments.command, timeout=timeout, silence=self._silence)
        note = stop_note(result, timeout)
        output = clip(result.output.replace("\0", "\ufffd").removesuffix("\n"), self._chars, cut=result.cut)
        text = "\n".join(part for part in (output, note) if part) or "[no output]"
        submitted = self._submits and result.exit_code == 0 and _first_line(result.output) == SUBMIT_LINE
        return Observation(text, submitted=submitted, stopped=result.stopped, result=result)


def stop_note(result: CommandResult, timeout: float) -> str:
    """How a command ended, in a line; empty where it succeeded."""
    if result.stopped is StopCause.TIMEOUT:
        return f"[timed out after {timeout:g} s: the command and all that it started were killed]"
    if result.stopped is StopCause.OUT_OF_MEMORY:
        return "[killed: the memory limit was reached]"
    if result.stopped is StopCause.DISK_FULL:
        return "[the limit on files was reached: no space left]"
    if result.stopped is StopCause.PROCESS_LIMIT:
        killed = "the command and all that it started were killed"
        return f"[the limit on processes was reached: {killed if result.exit_code is None else 'some could not start'}]"
    if result.stopped is StopCause.NO_OUTPUT:
        return "[printed nothing for too long: the command and all that it started were killed]"
    if result.stopped is StopCause.SHELL_DIED:
        cut_short = "[the command was cut short, or did not begin]"
        return "[the command ended the shell]" if result.exit_code is not None else cut_short
    return "" if result.exit_code == 0 else f"[exit code {result.exit_code}]"


def _first_line(output: str) -> str:
    return output.lstrip().partition("\n")[0].strip()
