"""A run's folder: configuration, calibration, log, checkpoints, curve, trajectories; whether a run there can go on."""

import json
import shutil
from pathlib import Path
from typing import Any

from rl_trainer.calibration import Calibration
from rl_trainer.config import TrainConfig
from rl_trainer.errors import ConfigError

_FREE = {"out", "token_budget", "concurrency", "twin_episodes", "trajectories"}
"""Settings that may change when a run goes on: they move the folder, bound memory, or only measure or record."""


class RunFolder:
    """Paths of a run and its small records.

    Raises:
        ConfigError: the folder holds a run of other settings, or is not one that can be written.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.path = config.out
        self.checkpoints = self.path / "checkpoints"
        self.curve = self.path / "curve.png"
        self.trajectories = self.path / "trajectories" if config.trajectories else None
        """Folder of the folders of each stage; None where no episode is kept."""
        self._calibration = self.path / "calibration.json"
        settings = self.path / "config.json"
        shown = config.model_dump(mode="json")
        if settings.is_file() and (differing := _differing(json.loads(settings.read_text()), shown)):
            raise ConfigError(
                f"{self.path} holds a run with other settings ({', '.join(differing)}): "
                "set `out` to a new folder, or give the old settings to go on"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            settings.write_text(json.dumps(shown, indent=2) + "\n")
        except OSError as error:
            raise ConfigError(f"out: cannot write into {self.path}: {error.strerror}") from error

    def mark_unblocked(self) -> None:
        """Say so in the folder, for whoever looks at its curves later."""
        (self.path / "UNBLOCKED").write_text(
            "This run was trained on a pool whose blockers are off: its rewards measure what a policy does with the\n"
            "hole, and nothing else. Never publish them as if they were real.\n"
        )

    def begin_stage(self, name: str) -> Path | None:
        """The folder for the trajectories of a stage that begins; None where none are kept.

        What lies there goes: the run was stopped within the stage, or after it and before a checkpoint, and samples the
        same episodes again from the same seeds.
        """
        if self.trajectories is None:
            return None
        shutil.rmtree(self.trajectories / name, ignore_errors=True)
        return self.trajectories / name

    def read_calibration(self) -> Calibration | None:
        """What an earlier start of this run measured, or None."""
        if not self._calibration.is_file():
            return None
        return Calibration.model_validate_json(self._calibration.read_bytes())

    def write_calibration(self, calibration: Calibration) -> None:
        """Keep what was measured."""
        beside = self._calibration.with_suffix(".part")
        beside.write_text(calibration.model_dump_json(indent=2) + "\n")
        beside.replace(self._calibration)


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of settings that decide what is trained and differ; a run may go on to more steps."""
    old, new = ({**shown, "grpo": {**shown["grpo"], "steps": 0}} for shown in (old, new))
    return [name for name in sorted(set(old) | set(new)) if name not in _FREE and old.get(name) != new.get(name)]
