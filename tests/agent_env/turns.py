"""What a policy writes, turn by turn."""

import threading

from agent_env.episode import Episode
from agent_env.outcome import Outcome
from agent_env.sandbox.base import Sandbox
from agent_env.tools import ToolCall, format_call
from agent_env.tools.observation import Observation

SUBMIT = format_call(ToolCall("submit"))


def bash(command: str) -> str:
    """A turn that runs a shell command."""
    return format_call(ToolCall("bash", {"command": command}))


def play(episode: Episode, actions: list[str]) -> Outcome | None:
    """Start an episode and take turns until it ends; its outcome."""
    episode.start()
    for action in actions:
        if episode.turn(action).outcome:
            break
    return episode.outcome


def turn_elsewhere(episode: Episode, action: str) -> tuple[threading.Thread, threading.Event]:
    """A turn in another thread, and what is set once its first call is about to run."""
    begun, execute = threading.Event(), episode.toolbox.execute

    def announced(sandbox: Sandbox, call: ToolCall) -> Observation:
        begun.set()
        return execute(sandbox, call)

    episode.toolbox.execute = announced  # type: ignore[method-assign]
    thread = threading.Thread(target=episode.turn, args=(action,))
    thread.start()
    return thread, begun
