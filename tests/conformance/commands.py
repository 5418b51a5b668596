"""Shorthands of the conformance tests."""

from collections.abc import Callable

from agent_env.sandbox.base import Sandbox

MakeSandbox = Callable[..., Sandbox]
"""Makes a sandbox on the common tree; keywords are fields of ``SandboxSpec``."""


def text(sandbox: Sandbox, command: str, *, cwd: str | None = None) -> str:
    """Output of a command that must succeed."""
    done = sandbox.run(command, timeout=20, cwd=cwd)
    assert done.exit_code == 0, done
    return done.output
