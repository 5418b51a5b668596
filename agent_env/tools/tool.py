"""What every tool is: a name, a declaration of its arguments, words for the prompt, and what it does."""

from typing import Any, ClassVar, Protocol

from agent_env.sandbox.base import Sandbox
from agent_env.tools.arguments import Arguments, parameters_schema
from agent_env.tools.observation import Observation


class Tool(Protocol):
    """One tool of one episode."""

    name: ClassVar[str]
    signature: ClassVar[str]
    """The arguments, for the prompt."""
    help: ClassVar[str]
    """A few exact words for the prompt and the declarations."""
    arguments: ClassVar[type[Arguments]]

    def run(self, sandbox: Sandbox, arguments: Any) -> Observation:
        """Do it; ``arguments`` is an instance of ``self.arguments``.

        Raises:
            ArgumentError: the arguments do not fit each other.
            SandboxError: the sandbox is gone.
        """
        ...


def openai_schema(tool: Tool) -> dict[str, Any]:
    """The tool as OpenAI-style clients declare it."""
    function = {"name": tool.name, "description": tool.help, "parameters": parameters_schema(tool.arguments)}
    return {"type": "function", "function": function}


def anthropic_schema(tool: Tool) -> dict[str, Any]:
    """The tool as Anthropic-style clients declare it."""
    return {"name": tool.name, "description": tool.help, "input_schema": parameters_schema(tool.arguments)}
