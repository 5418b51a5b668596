"""A run's log: one JSON object a line in ``metrics.jsonl``, and the same numbers for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class MetricsLog:
    """Appends to the log of the run in ``folder``; a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self._lines = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exc: object) -> None:
        self._lines.close()
        self._board.close()

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Append one line and one point for each value, named ``stage/name`` on the board."""
        self._lines.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{stage}/{name}", value, step)
        self._board.flush()
