"""The front door of RepoDojo: the command line. Thin; the rooms below do the work."""

from typing import Any

__all__ = ["SWEAgentEnv", "SWETaskset"]


def __getattr__(name: str) -> Any:
    """The plugin classes that verifiers looks for here (``vf-eval repodojo``), imported when they are asked for."""
    if name in __all__:
        from agent_env.adapters import verifiers

        return getattr(verifiers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
