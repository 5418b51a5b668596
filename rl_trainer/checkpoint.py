"""Checkpoints: directories ``step-000012`` that are whole or absent, and the newest two are kept.

Random state is not stored: every seed is a function of the configuration's seed and the step, so a run that resumes
samples what it would have sampled had it never stopped.
"""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import torch

from rl_trainer.learner import Learner
from rl_trainer.model import LanguageModel, load_model
from tasks.record import Record

KEPT = 2
"""Newest checkpoints kept: one more than needed, should the newest prove bad."""


class RunState(Record):
    """Where a run stands."""

    format_version: int = 1
    step: int
    """GRPO steps done."""
    mean_reward_by_step: tuple[float, ...]
    demonstrated: tuple[str, ...]
    """Tasks that the warm start learnt from."""


class Checkpoint(NamedTuple):
    """A checkpoint on disk and in memory."""

    path: Path
    language_model: LanguageModel
    state: RunState

    def restore_optimizer(self, learner: Learner) -> None:
        """Give the learner the optimiser state that was saved with the weights."""
        learner.optimizer.load_state_dict(torch.load(self.path / "optimizer.pt", weights_only=True))


def save_checkpoint(folder: Path, language_model: LanguageModel, learner: Learner, state: RunState) -> Checkpoint:
    """Write a checkpoint into ``folder``; it appears under its name only once it is whole."""
    target = folder / f"step-{state.step:06d}"
    beside = folder / f"{target.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    language_model.save(beside)
    torch.save(learner.optimizer.state_dict(), beside / "optimizer.pt")
    (beside / "state.json").write_text(json.dumps(state.model_dump(mode="json")) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
    for old in _checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old)
    return Checkpoint(target, language_model, state)


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in ``folder``, or None."""
    found = _checkpoints(folder)
    if not found:
        return None
    state = RunState.model_validate_json((found[-1] / "state.json").read_bytes())
    return Checkpoint(found[-1], load_model(str(found[-1])), state)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".part")
