"""The reinforcement learning loop: collect, check, score, pack, step, log; once for each step."""

import copy
import time
from collections.abc import Sequence

from rl_trainer.algorithm import ALGORITHMS
from rl_trainer.batch import pack
from rl_trainer.collector import Collected, Collector
from rl_trainer.config import TrainConfig
from rl_trainer.credit import assign_credit
from rl_trainer.learner import Learner, StepStats
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.sampler_check import check_sampler
from rl_trainer.step_metrics import step_metrics
from rl_trainer.task_stream import tasks_of_step

_RL_SEED = 7_919
"""Keeps the seeds of reinforcement learning apart from those of calibration."""


class GRPO:
    """Trains ``policy.model`` in place.

    Args:
        policy: samples, and holds the model that is trained.
        collector: runs the episodes.
        config: of the whole run.
        task_ids: what to train on.
    """

    def __init__(
        self, policy: TransformersPolicy, collector: Collector, config: TrainConfig, task_ids: Sequence[str]
    ) -> None:
        self.policy, self.collector, self.config = policy, collector, config
        self.task_ids = list(task_ids)
        self.algorithm = ALGORITHMS[config.grpo.algorithm]
        reference = copy.deepcopy(policy.model).requires_grad_(False) if config.grpo.kl_weight else None
        self.learner = Learner(
            policy.model,
            learning_rate=config.grpo.learning_rate,
            reference=reference,
            kl_weight=config.grpo.kl_weight,
        )

    def step(self, number: int) -> dict[str, float]:
        """Step ``number`` (from 1); its metrics.

        Raises:
            InfraError: the machine failed under every episode.
            SamplerMismatchError: sampler and trainer disagree; the weights are as they were.
        """
        begun = time.monotonic()
        settings = self.config.grpo
        tasks = tasks_of_step(self.task_ids, step=number, count=settings.tasks_per_step, seed=self.config.seed)
        groups = [group for group in range(len(tasks)) for _ in range(settings.group_size)]
        collected = self._collect([tasks[group] for group in groups], number)
        collect_seconds = time.monotonic() - begun
        mismatch = check_sampler(
            self.policy.model,
            [rollout.trace for rollout in collected.valid],
            temperature=self.config.temperature,
        )
        credit = assign_credit(
            collected.rollouts,
            groups,
            self.algorithm,
            max_length=self.config.context,
            keep_all=settings.kl_weight > 0,
            hack_penalty=settings.hack_penalty,
        )
        batches = pack(credit.rows, budget=self.config.token_budget)
        stats = StepStats(0.0, 0.0, 0.0, 0.0)
        for _ in range(settings.updates):
            stats = self.learner.step(batches, self.algorithm.loss, temperature=self.config.temperature)
        self.policy.weights_changed(number)
        return step_metrics(
            collected,
            credit,
            stats,
            mismatch=mismatch,
            collect_seconds=collect_seconds,
            seconds=time.monotonic() - begun,
        )

    def _collect(self, task_ids: Sequence[str], number: int) -> Collected:
        return self.collector.collect(
            self.policy,
            task_ids,
            temperature=self.config.temperature,
            seed=(self.config.seed * _RL_SEED + number) * _RL_SEED,
        )
