"""Tool calls as shell commands that do the same, for forms in which the shell is the only tool."""

from collections.abc import Mapping
from typing import Any

from agent_env.tools.calls import ToolCall
from tasks.errors import BadInputError


def as_shell(call: ToolCall) -> str:
    """The command. Texts stand in it as Python literals, in one line each, so that no quoting can break them.

    Raises:
        BadInputError: no command does what the call does.
    """
    given = call.arguments
    if call.name == "bash" and set(given) == {"command"}:
        return str(given["command"])
    if call.name == "edit" and given.get("command") == "create":
        return _script(given, "path.parent.mkdir(parents=True, exist_ok=True)", f"text = {given['file_text']!a}")
    if call.name == "edit" and given.get("command") == "str_replace":
        old, new = ascii(given["old_str"]), ascii(given.get("new_str", ""))
        return _script(given, "text = path.read_bytes().decode()", f"text = text.replace({old}, {new}, 1)")
    raise BadInputError(f"the call {call.name[:80]!r} with {sorted(given)} cannot be written as a shell command")


def _script(given: Mapping[str, Any], *lines: str) -> str:
    """A Python script that makes ``text`` and writes it to the path."""
    body = "\n".join(lines)
    return (
        "python3 - <<'EOF'\nfrom pathlib import Path\n"
        f"path = Path({given['path']!a})\n{body}\npath.write_bytes(text.encode())\nEOF"
    )
