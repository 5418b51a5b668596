"""The tools of one episode together: finds the tool, checks the arguments, and turns every mistake of the policy into
an observation that says what was got and what is expected."""

from collections.abc import Mapping
from typing import Any

from agent_env.sandbox.base import Sandbox
from agent_env.tools.arguments import ArgumentError, read_arguments
from agent_env.tools.bash import Bash
from agent_env.tools.calls import ToolCall
from agent_env.tools.editor import Editor
from agent_env.tools.observation import DEFAULT_CHARS, Observation, clip
from agent_env.tools.submit import Submit
from agent_env.tools.tool import Tool, openai_schema


class Toolbox:
    """The tools, by name.

    Args:
        command_timeout: seconds a command may run.
        chars: longest observation of one call.
    """

    def __init__(self, *, command_timeout: float = 30.0, chars: int = DEFAULT_CHARS) -> None:
        self.bash = Bash(timeout=command_timeout, chars=chars)
        tools: tuple[Tool, ...] = (self.bash, Editor(chars=chars), Submit())
        self.tools: Mapping[str, Tool] = {tool.name: tool for tool in tools}
        self._chars = chars

    def schemas(self) -> list[dict[str, Any]]:
        """Declarations of the tools, OpenAI style."""
        return [openai_schema(tool) for tool in self.tools.values()]

    def execute(self, sandbox: Sandbox, call: ToolCall) -> Observation:
        """Run one call.

        Raises:
            SandboxError: the sandbox is gone; no mistake of the policy raises.
        """
        tool = self.tools.get(call.name)
        if tool is None:
            return Observation(f"Error: there is no tool {call.name[:80]!r}. The tools are: {', '.join(self.tools)}.")
        try:
            return tool.run(sandbox, read_arguments(tool.name, tool.arguments, call.arguments))
        except ArgumentError as error:
            return Observation(clip(f"Error: {error}", self._chars))
