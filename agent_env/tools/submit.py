"""The tool ``submit``: ends the work and has it graded."""

from typing import ClassVar

from agent_env.sandbox.base import Sandbox
from agent_env.tools.arguments import Arguments
from agent_env.tools.observation import Observation


class SubmitArguments(Arguments):
    """``submit`` takes none."""


class Submit:
    """Says that the work is done. The policy is told nothing about the grading."""

    name: ClassVar[str] = "submit"
    signature: ClassVar[str] = ""
    help: ClassVar[str] = "end the work; hidden tests then judge the source files."
    arguments: ClassVar[type[Arguments]] = SubmitArguments

    def run(self, sandbox: Sandbox, arguments: SubmitArguments) -> Observation:
        """End the work."""
        del sandbox, arguments
        return Observation("Submitted.", submitted=True)
