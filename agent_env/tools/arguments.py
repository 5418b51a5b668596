"""Arguments of tool calls: declared once as a pydantic model, from which come the JSON schema, the check and the words
of the complaint.

Policies that write XML give every value as text, so ``"30"`` passes for a number and ``"[1, 20]"`` for a list. An
argument that is null counts as absent.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Never, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from agent_env.tools.calls import check_bounds
from tasks.errors import BadInputError

MAX_TEXT_CHARS = 1_000_000
"""Longest text argument."""


class ArgumentError(BadInputError):
    """The arguments of a call do not fit its tool; the message is meant for the policy."""


class Arguments(BaseModel):
    """Base of each tool's arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


A = TypeVar("A", bound=Arguments)


def _from_json(value: object) -> object:
    """A list written as text; text that is no JSON, or JSON beyond all bounds, is left for pydantic to refuse."""
    if isinstance(value, str):
        try:
            decoded = json.loads(value)
            check_bounds("the items", decoded)
            return decoded
        except (ValueError, RecursionError):
            return value
    return value


LineRange = Annotated[list[int], BeforeValidator(_from_json)]
"""Two line numbers as a list, or as the text of one."""


def read_arguments(tool: str, model: type[A], given: Mapping[str, Any]) -> A:
    """Check ``given`` against ``model``.

    Raises:
        ArgumentError: with what was got and what is expected.
    """
    given = {key: value for key, value in given.items() if value is not None}
    for key, value in given.items():
        _check_text(tool, key, value)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])[:80]
        if first["type"] == "missing":
            what = f"argument {name!r} is missing"
        elif first["type"] == "extra_forbidden":
            what = f"unknown argument {name!r}"
        else:
            what = f"argument {name!r}: {first['msg'][:200]}, got {_brief(first['input'])}"
        fail_arguments(tool, model, what)


def fail_arguments(tool: str, model: type[Arguments], what: str) -> Never:
    """Raise an ``ArgumentError`` that ends in what the tool expects."""
    raise ArgumentError(f"{tool}: {what}. Expected: {describe(model)}")


def describe(model: type[Arguments]) -> str:
    """The arguments of a model in one line."""
    schema = parameters_schema(model)
    parts = []
    for name, about in schema["properties"].items():
        kind = "|".join(about["enum"]) if "enum" in about else about["type"]
        parts.append(f"{name} ({kind}{'' if name in schema['required'] else ', optional'})")
    return ", ".join(parts) or "no arguments"


def parameters_schema(model: type[Arguments]) -> dict[str, Any]:
    """JSON schema of the arguments, plain enough for OpenAI and Anthropic style clients: no titles, references, nulls
    or defaults."""
    schema = model.model_json_schema()
    properties = {
        name: {key: value for key, value in about.items() if key not in ("title", "default")}
        for name, about in schema.get("properties", {}).items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _check_text(tool: str, key: str, value: object) -> None:
    if not isinstance(value, str):
        return
    if len(value) > MAX_TEXT_CHARS:
        raise ArgumentError(f"{tool}: argument {key[:80]!r} is {len(value)} characters; at most {MAX_TEXT_CHARS}")
    if "\0" in value:
        raise ArgumentError(f"{tool}: argument {key[:80]!r} holds a NUL byte; expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{tool}: argument {key[:80]!r} is not valid Unicode text ({error.reason})") from None


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
