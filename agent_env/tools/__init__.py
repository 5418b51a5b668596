"""The tools of an agent: a shell, an editor, a search, submit; and the text formats in which a policy calls them."""

from agent_env.tools.calls import CallFormatError, ToolCall
from agent_env.tools.formats import FORMATS, CallFormat, choose_format, parse_calls
from agent_env.tools.observation import Observation
from agent_env.tools.toolbox import Toolbox

__all__ = [
    "FORMATS",
    "CallFormat",
    "CallFormatError",
    "Observation",
    "ToolCall",
    "Toolbox",
    "choose_format",
    "format_call",
    "parse_calls",
]


def format_call(call: ToolCall, form: CallFormat = FORMATS["qwen"]) -> str:
    """One call as a policy writes it in a form."""
    return form.write([call])
