"""Where candidates come from: bugs planted in code (procedural) and changes found in a project's past (history)."""

from env_builder.strategies.history import HistoryStrategy
from env_builder.strategies.procedural.strategy import ProceduralStrategy

__all__ = ["HistoryStrategy", "ProceduralStrategy"]
