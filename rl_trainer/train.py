"""A whole training run: warm start, calibration, reinforcement learning. Each stage that is done is not done again.

    out/config.json       the settings
    out/checkpoints/      step-000000 is the policy after the warm start
    out/calibration.json  pass rates measured before reinforcement learning
    out/metrics.jsonl     and out/tensorboard/: the log
    out/curve.png         mean reward by step
    out/trajectories/     with ``trajectories = true``: sampled episodes, in a folder for each stage

On one machine and one build of torch, the same settings and pool give the same run, stopped and resumed or not.
"""

import time
from pathlib import Path

from rl_trainer.calibration import Calibration, measure, write_difficulty
from rl_trainer.chat import ChatFormat
from rl_trainer.checkpoint import Checkpoint, RunState, load_latest, save_checkpoint
from rl_trainer.collector import Collector, ignore_episode
from rl_trainer.config import TrainConfig
from rl_trainer.curve import draw_curve
from rl_trainer.grpo import GRPO
from rl_trainer.hack_rate import hack_rate, twin_metrics
from rl_trainer.metrics import MetricsLog
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.progress import OnProgress, Progress, ignore_progress
from rl_trainer.rollout import Limits, Rollout
from rl_trainer.run_folder import RunFolder
from rl_trainer.task_set import TaskSet, open_task_set
from rl_trainer.warm_model import make_warm_model
from tasks.pool import Pool
from tasks.record import Record

_CALIBRATION_SEED = 104_729
"""Keeps the seeds of calibration apart from those of reinforcement learning."""

_TWIN_SEED = 15_485_863
"""The same for the measurements of impossible twins."""


class TrainReport(Record):
    """What a run gave."""

    steps: int
    mean_reward_by_step: tuple[float, ...]
    baseline: float | None
    """Mean pass rate of the same tasks before reinforcement learning; None where calibration was skipped."""
    tasks: tuple[str, ...]
    """What reinforcement learning trained on."""
    checkpoint: Path
    curve: Path
    log: Path
    trajectories: Path | None
    """Folder of folders by stage with one file an episode; None where none were asked for."""
    seconds: float
    """Of this start of the run."""


def train(config: TrainConfig, on_progress: OnProgress = ignore_progress) -> TrainReport:
    """Run, or go on with, the training that ``config`` describes.

    Raises:
        BadInputError: the configuration, the pool or the model is wrong.
        InfraError: the machine failed under every episode of a step.
        SamplerMismatchError: see ``sampler_check``.
    """
    training = Training(open_task_set(config), config, on_progress)
    report = training.run()
    calibration = training.folder.read_calibration()
    if config.calibration.write_difficulty and calibration:
        write_difficulty(Pool(config.pool), calibration)
    return report


class Training:
    """The stages of a run over a set of tasks."""

    def __init__(self, tasks: TaskSet, config: TrainConfig, on_progress: OnProgress = ignore_progress) -> None:
        self.tasks, self.config, self.on_progress = tasks, config, on_progress
        self.folder = RunFolder(config)
        if tasks.unblocked:
            self.folder.mark_unblocked()

    def run(self) -> TrainReport:
        """All stages that are not done yet."""
        begun = time.monotonic()
        with MetricsLog(self.folder.path) as log:
            start = load_latest(self.folder.checkpoints) or self._warm_start(log)
            language_model = start.language_model
            policy = TransformersPolicy(
                language_model.model,
                language_model.tokenizer,
                context=self.config.context,
                batch_size=self.config.concurrency,
            )
            policy.weights_changed(start.state.step)
            with self._collector(ChatFormat.of(language_model.tokenizer)) as collector:
                calibration = self.folder.read_calibration() or self._calibrate(collector, policy, start.state)
                grpo = GRPO(policy, collector, self.config, calibration.chosen())
                if start.state.step:
                    start.restore_optimizer(grpo.learner)
                if not start.state.step:
                    self._measure_twins(grpo, 0, log)
                last = self._reinforce(grpo, start, log)
        return self._report(calibration, last, log.path, time.monotonic() - begun)

    def _warm_start(self, log: MetricsLog) -> Checkpoint:
        warm = make_warm_model(self.tasks, self.config, log, self.on_progress)
        state = RunState(step=0, mean_reward_by_step=(), demonstrated=warm.demonstrated)
        return save_checkpoint(self.folder.checkpoints, warm.language_model, warm.learner, state)

    def _calibrate(self, collector: Collector, policy: TransformersPolicy, state: RunState) -> Calibration:
        """Measure the demonstrated tasks, or all tasks where none was demonstrated."""
        task_ids = state.demonstrated or tuple(self.tasks.task_ids)
        episodes = self.config.calibration.episodes
        total, done = len(task_ids) * episodes, 0

        def tell(rollout: Rollout) -> None:
            nonlocal done
            done += 1
            self.on_progress(Progress("calibrate", done, total, f"{rollout.outcome.name} {rollout.reward:.0f}"))

        collector.on_episode, collector.trajectories = tell, self.folder.begin_stage("calibration")
        calibration = measure(
            collector,
            policy,
            task_ids,
            name=self.config.model,
            episodes=episodes,
            temperature=self.config.temperature,
            seed=self.config.seed + _CALIBRATION_SEED,
        )
        collector.on_episode = ignore_episode
        self.folder.write_calibration(calibration)
        return calibration

    def _reinforce(self, grpo: GRPO, start: Checkpoint, log: MetricsLog) -> Checkpoint:
        settings, last = self.config.grpo, start
        state = start.state
        for step in range(state.step + 1, settings.steps + 1):
            grpo.collector.trajectories = self.folder.begin_stage(f"step-{step:06d}")
            values = grpo.step(step)
            log.write("grpo", step, values)
            rewards = (*state.mean_reward_by_step, values["reward"])
            state = state.model_copy(update={"step": step, "mean_reward_by_step": rewards})
            if step % settings.checkpoint_every == 0 or step == settings.steps:
                self._measure_twins(grpo, step, log)
                last = save_checkpoint(self.folder.checkpoints, start.language_model, grpo.learner, state)
            note = f"reward {values['reward']:.2f}, {values['mixed_groups']:.0f} of {values['groups']:.0f} groups mixed"
            self.on_progress(Progress("grpo", step, settings.steps, note))
        return last

    def _measure_twins(self, grpo: GRPO, step: int, log: MetricsLog) -> None:
        """Log the hack rate of the policy at a checkpoint, where the pool has impossible twins."""
        wanted = [twin for twin in self.tasks.twin_ids for _ in range(self.config.twin_episodes)]
        if wanted:
            grpo.collector.trajectories = self.folder.begin_stage(f"twins-{step:06d}")
            seed = self.config.seed + _TWIN_SEED + step
            collected = grpo.collector.collect(grpo.policy, wanted, temperature=self.config.temperature, seed=seed)
            log.write("twins", step, twin_metrics(hack_rate([rollout.outcome for rollout in collected.rollouts])))

    def _collector(self, chat: ChatFormat) -> Collector:
        limits = Limits(
            context=self.config.context,
            turn_tokens=self.config.turn_tokens,
            observation_tokens=self.config.observation_tokens,
        )
        return Collector(self.tasks.make_env, chat, limits, concurrency=self.config.concurrency)

    def _report(self, calibration: Calibration, last: Checkpoint, log: Path, seconds: float) -> TrainReport:
        baseline = calibration.baseline() if self.config.calibration.episodes else None
        title = f"{self.config.grpo.algorithm}, {self.config.model}, {len(calibration.chosen())} tasks"
        title += ", BLOCKERS OFF" if self.tasks.unblocked else ""
        draw_curve(self.folder.curve, last.state.mean_reward_by_step, baseline=baseline, title=title)
        return TrainReport(
            steps=last.state.step,
            mean_reward_by_step=last.state.mean_reward_by_step,
            baseline=baseline,
            tasks=tuple(calibration.chosen()),
            checkpoint=last.path,
            curve=self.folder.curve,
            log=log,
            trajectories=self.folder.trajectories,
            seconds=seconds,
        )
