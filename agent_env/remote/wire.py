"""What server and client of a remote pool agree on, beside OpenEnv's own messages."""

from typing import Any

from pydantic import ValidationError

from agent_env.tools.calls import MAX_TURN_CHARS
from tasks.errors import BadInputError

KEY_VARIABLE = "REPODOJO_API_KEY"
"""The variable in which server and client look for the API key."""

BAD_REQUEST = "bad request: "
"""An error that begins so is the client's own mistake; any other is the server's trouble."""

REPLY_SECONDS = 900.0
"""How long clients wait for an answer unless told otherwise: a submit is answered when it is graded."""

MAX_MESSAGE_BYTES = 12 * MAX_TURN_CHARS + (64 << 10)
"""Longest message: JSON writes one character in up to 12 bytes, so every turn that an episode reads fits."""


def refused(error: ValidationError) -> BadInputError:
    """What to tell a client whose request does not fit its schema."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:80]
    return BadInputError(f"{BAD_REQUEST}{where!r}: {first['msg']}")


def encodable(text: Any) -> Any:
    """The text, with what no UTF-8 holds (half a surrogate pair) written as an escape, and cut where no turn is read.

    What is no text is left as it is, for a schema to refuse.
    """
    if not isinstance(text, str):
        return text
    return text[: MAX_TURN_CHARS + 1].encode(errors="backslashreplace").decode()
