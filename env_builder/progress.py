"""What a long work tells its watcher: stages that start, advance and finish. Showing it is the front door's part."""

from typing import Protocol


class Progress(Protocol):
    """Hears of stages; called from several threads, so it must bear that."""

    def started(self, stage: str, total: int | None) -> None:
        """A stage began; ``total`` steps are ahead, or None where nobody can tell."""
        ...

    def advanced(self, stage: str, note: str = "") -> None:
        """One step of a stage is done."""
        ...

    def finished(self, stage: str) -> None:
        """A stage ended, well or not."""
        ...


class Silent:
    """Shows nothing."""

    def started(self, stage: str, total: int | None) -> None:
        """Nothing."""

    def advanced(self, stage: str, note: str = "") -> None:
        """Nothing."""

    def finished(self, stage: str) -> None:
        """Nothing."""
