"""Measured pass rates, and the choice of tasks that a policy solves sometimes: their groups hold both rewards."""

from collections import defaultdict
from collections.abc import Sequence

from rl_trainer.collector import Collector
from rl_trainer.policy.base import Policy
from tasks.pool import Pool
from tasks.record import Record


class TaskRate(Record):
    """How often a policy solved a task."""

    task_id: str
    episodes: int
    """Those that the machine did not break."""
    solved: int

    @property
    def pass_rate(self) -> float:
        """Share solved; 0 where every episode was broken."""
        return self.solved / self.episodes if self.episodes else 0.0

    @property
    def learnable(self) -> bool:
        """Solved at least once and failed at least once."""
        return 0 < self.solved < self.episodes


class Calibration(Record):
    """Pass rates of one policy at one temperature."""

    format_version: int = 1
    policy: str
    temperature: float
    rates: tuple[TaskRate, ...]

    def chosen(self) -> list[str]:
        """Tasks solved sometimes, by id; where there is none, all that were measured."""
        return [rate.task_id for rate in self.rates if rate.learnable] or [rate.task_id for rate in self.rates]

    def baseline(self) -> float:
        """Mean pass rate over the chosen tasks: the reward before training."""
        chosen = set(self.chosen())
        rates = [rate.pass_rate for rate in self.rates if rate.task_id in chosen]
        return sum(rates) / len(rates)


def measure(
    collector: Collector,
    policy: Policy,
    task_ids: Sequence[str],
    *,
    name: str,
    episodes: int,
    temperature: float,
    seed: int,
) -> Calibration:
    """Sample ``episodes`` episodes of each task.

    Args:
        collector: runs them.
        policy: what is measured; it gets the prompts alone, as in training.
        task_ids: each once.
        name: of the policy, for the record.
        episodes: of each task.
        temperature: of sampling.
        seed: of sampling.
    """
    wanted = [task_id for task_id in sorted(task_ids) for _ in range(episodes)]
    rewards: dict[str, list[float]] = defaultdict(list)
    for rollout in collector.collect(policy, wanted, temperature=temperature, seed=seed).valid:
        rewards[rollout.task_id].append(rollout.reward)
    rates = [
        TaskRate(task_id=task_id, episodes=len(rewards[task_id]), solved=sum(reward > 0 for reward in rewards[task_id]))
        for task_id in sorted(task_ids)
    ]
    return Calibration(policy=name, temperature=temperature, rates=tuple(rates))


def write_difficulty(pool: Pool, calibration: Calibration) -> None:
    """Record the measured pass rates in the pool's tasks; tasks not measured keep what they have.

    Difficulty is part of a task, so the pool's hash changes.
    """
    measured = {rate.task_id: rate.pass_rate for rate in calibration.rates if rate.episodes}
    pool.write_tasks(
        task.model_copy(update={"difficulty": measured.get(task.id, task.difficulty)}) for task in pool.rows()
    )
