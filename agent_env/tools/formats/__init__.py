"""The text forms in which policies write tool calls: one file a form, chosen by name."""

from agent_env.tools.formats.auto import Auto
from agent_env.tools.formats.bash_block import BashBlock
from agent_env.tools.formats.form import CallFormat, parse_calls
from agent_env.tools.formats.hermes import Hermes
from agent_env.tools.formats.llama import Llama
from agent_env.tools.formats.mistral import Mistral
from agent_env.tools.formats.pythonic import Pythonic
from agent_env.tools.formats.qwen import Qwen
from tasks.errors import BadInputError

__all__ = ["DEFAULT_FORMAT", "FORMATS", "CallFormat", "choose_format", "parse_calls"]

DEFAULT_FORMAT = "qwen"
"""Needs no escaping, so small policies make the fewest mistakes in it; also reads Hermes's form."""

FORMATS: dict[str, CallFormat] = {
    form.name: form for form in (Qwen(), Hermes(), Llama(), Pythonic(), Mistral(), BashBlock(), Auto())
}


def choose_format(name: str) -> CallFormat:
    """The form of that name.

    Raises:
        BadInputError: there is none.
    """
    if not isinstance(name, str) or name not in FORMATS:
        raise BadInputError(f"call_format is {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
