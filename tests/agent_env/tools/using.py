"""Calls of tools, as short as tests want them."""

from typing import Any

from agent_env.sandbox.base import Sandbox
from agent_env.tools import Toolbox, ToolCall

TOOLS = Toolbox(command_timeout=10, chars=2000)


def run(sandbox: Sandbox, name: str, **arguments: Any) -> str:
    return TOOLS.execute(sandbox, ToolCall(name, arguments)).text


def edit(sandbox: Sandbox, command: str, path: str = "a.py", **arguments: Any) -> str:
    return run(sandbox, "edit", command=command, path=path, **arguments)
