"""What a tool shows the policy, and how long texts are cut to fit."""

from typing import NamedTuple

from agent_env.sandbox.base import CommandResult, StopCause

DEFAULT_CHARS = 10_000
"""Longest observation; most agents of the field cut between 10,000 and 30,000."""


class Observation(NamedTuple):
    """What one call showed."""

    text: str
    submitted: bool = False
    """Whether the call ended the work."""
    stopped: StopCause | None = None
    """Why a command was ended, where it did not end by itself."""
    result: CommandResult | None = None
    """What ``bash``'s command did, for interfaces that tell it in their own way."""


def clip(text: str, limit: int, *, cut: int = 0) -> str:
    """``text`` with its middle cut out beyond ``limit`` characters, and a line that says how much is missing.

    Args:
        cut: bytes that its middle lacks already; the line that tells them is cut out with the rest.
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    missing = len(text) - 2 * half
    told = f"about {missing + cut}" if cut else missing
    return f"{text[:half]}\n[... {told} characters cut ...]\n{text[len(text) - half :]}"
