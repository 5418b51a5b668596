"""The tools of an agent: a shell, an editor, submit; and the text formats in which a policy calls them."""

from agent_env.tools.calls import CallFormatError, ToolCall, format_call, parse_calls
from agent_env.tools.observation import Observation
from agent_env.tools.toolbox import Toolbox

__all__ = ["CallFormatError", "Observation", "ToolCall", "Toolbox", "format_call", "parse_calls"]
