"""Shorthands of the conformance tests."""

import time
from collections.abc import Callable
from pathlib import Path

from agent_env.sandbox.base import Sandbox

MakeSandbox = Callable[..., Sandbox]
"""Makes a sandbox on the common tree; keywords are fields of ``SandboxSpec``."""


def text(sandbox: Sandbox, command: str, *, cwd: str | None = None) -> str:
    """Output of a command that must succeed."""
    done = sandbox.run(command, timeout=20, cwd=cwd)
    assert done.exit_code == 0, done
    return done.output


def await_end(pids: set[int]) -> set[int]:
    """The processes that are still there when they had long enough to die."""
    for _ in range(300):
        pids = {pid for pid in pids if Path(f"/proc/{pid}").exists()}
        if not pids:
            break
        time.sleep(0.05)
    return pids
