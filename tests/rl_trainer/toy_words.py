"""A real, small environment for tests: say the secret word. No sandbox, but episodes, rewards and failures as real."""

from pathlib import Path
from typing import Any

from agent_env.atif import Metrics
from rl_trainer.model import LanguageModel, make_model
from tasks.errors import InfraError

WORDS = ("apple", "pear", "plum", "fig")


class WordEnv:
    """The task ``say-WORD`` wants that word in one of ``turns`` turns.

    ``broken`` counts down, shared by all: so many resets fail as a machine would.
    """

    def __init__(self, *, turns: int = 2, broken: dict[str, int] | None = None) -> None:
        self.turns, self.broken = turns, broken if broken is not None else {}
        self.word, self.step_number, self.closed = "", 0, 0
        self.trajectories: Path | None = None
        self.measured: list[Metrics] = []
        self.full: list[str | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        task_id = (options or {})["task_id"]
        if self.broken.get(task_id, 0) > 0:
            self.broken[task_id] -= 1
            raise InfraError("the disk is on fire")
        self.word, self.step_number = task_id.removeprefix("say-"), 0
        return f"say {self.word}", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.step_number += 1
        if self.word in action:
            return "right", 1.0, True, False, {"outcome": "Scored", "masked": False, "detail": ""}
        if self.step_number == self.turns:
            return "over", 0.0, False, True, {"outcome": "LimitStopped", "masked": False, "detail": "steps"}
        return "wrong, again", 0.0, False, False, {"outcome": None, "masked": False, "detail": ""}

    def measure(self, metrics: Metrics) -> None:
        self.measured.append(metrics)

    def context_full(self, unplayed: str | None = None) -> None:
        self.full.append(unplayed)

    def close(self) -> None:
        self.closed += 1


def toy_texts() -> list[str]:
    return [f"say {word} {word} wrong, again right over" for word in WORDS] * 3


def toy_model(seed: int = 0) -> LanguageModel:
    """About 100 thousand weights."""
    return make_model(toy_texts(), seed=seed, vocabulary=320, hidden=64, layers=2, heads=4, context=128)
