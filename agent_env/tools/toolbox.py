"""The tools of one episode together: finds the tool, checks the arguments, and turns every mistake of the policy into
an observation that says what was got and what is expected."""

from collections.abc import Mapping
from typing import Any, Literal

from agent_env.sandbox.base import Sandbox
from agent_env.tools.arguments import ArgumentError, read_arguments
from agent_env.tools.bash import Bash
from agent_env.tools.calls import ToolCall
from agent_env.tools.editor import Editor
from agent_env.tools.observation import DEFAULT_CHARS, Observation, clip
from agent_env.tools.search import Search
from agent_env.tools.submit import Submit
from agent_env.tools.tool import Tool, anthropic_schema, openai_schema

SchemaStyle = Literal["openai", "anthropic"]


class Toolbox:
    """The tools, by name.

    Args:
        command_timeout: seconds a command may run.
        silence_timeout: seconds a command of the shell may print nothing; None: as long as it runs.
        chars: longest observation of one call.
        shell_only: whether the shell is the only tool.
        submits_by_output: whether a command that prints ``SUBMIT_LINE`` first submits.
    """

    def __init__(
        self,
        *,
        command_timeout: float = 30.0,
        silence_timeout: float | None = None,
        chars: int = DEFAULT_CHARS,
        shell_only: bool = False,
        submits_by_output: bool = False,
    ) -> None:
        self._bash = Bash(timeout=command_timeout, chars=chars, silence=silence_timeout, submits=submits_by_output)
        self._search = Search(timeout=command_timeout, chars=chars)
        others: tuple[Tool, ...] = () if shell_only else (Editor(chars=chars), self._search, Submit())
        tools: tuple[Tool, ...] = (self._bash, *others)
        self.tools: Mapping[str, Tool] = {tool.name: tool for tool in tools}
        self._chars = chars

    def limit_time(self, seconds: float) -> None:
        """Let no command run longer than that from now on."""
        self._bash.timeout = self._search.timeout = seconds

    def runs_commands(self, name: str) -> bool:
        """Whether calls of this tool are commands, which can run into their timeout."""
        return name in (self._bash.name, self._search.name)

    def schemas(self, style: SchemaStyle = "openai") -> list[dict[str, Any]]:
        """Declarations of the tools, as OpenAI-style or Anthropic-style clients take them."""
        declare = {"openai": openai_schema, "anthropic": anthropic_schema}[style]
        return [declare(tool) for tool in self.tools.values()]

    def execute(self, sandbox: Sandbox, call: ToolCall) -> Observation:
        """Run one call.

        Raises:
            SandboxError, OSError: the sandbox is gone, or the machine failed; no mistake of the policy raises.
        """
        tool = self.tools.get(call.name)
        if tool is None:
            return Observation(f"Error: there is no tool {call.name[:80]!r}. The tools are: {', '.join(self.tools)}.")
        try:
            return tool.run(sandbox, read_arguments(tool.name, tool.arguments, call.arguments))
        except ArgumentError as error:
            return Observation(clip(f"Error: {error}", self._chars))
