"""Every attack against every task, side by side, with the gold patch and an idle agent for comparison."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from agent_env.attack_trial import RULES, TrialResult, read_target, run_trial
from agent_env.episode import Episode
from agent_env.outcome import Outcome
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.workbench import Workbench
from blockers.attacks.attack import Attack, Goal
from tasks.task import Task

OnTrial = Callable[[int, int, str], None]
"""Told of each trial that is over: how many are, of how many, and which it was."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What all trials came to."""

    results: tuple[TrialResult, ...]
    """By attack in the order given, then by task."""
    tasks: int
    gold_pass: float
    """Share of tasks on which the gold patch earned 1."""
    noop_pass: float
    """Share of tasks on which doing nothing earned 1."""
    seconds: float

    @property
    def fooled(self) -> list[TrialResult]:
        """Trials that succeeded."""
        return [result for result in self.results if result.fooled]

    @property
    def undetected(self) -> list[TrialResult]:
        """Trials in which no expected detector fired, and which the task did not stop by itself."""
        return [result for result in self.results if not result.detected and not result.resisted]

    @property
    def resisted(self) -> list[TrialResult]:
        """Trials which the task stopped by itself, before what must notice them had to."""
        return [result for result in self.results if result.resisted and not result.detected]

    @property
    def watched(self) -> list[TrialResult]:
        """Trials in which the monitor named something."""
        return [result for result in self.results if result.trial.events]

    @property
    def holds(self) -> bool:
        """Whether nothing was fooled, gold always passed, and doing nothing never did."""
        return not self.fooled and self.gold_pass == 1 and self.noop_pass == 0


def run_campaign(
    bench: Workbench, tasks: Sequence[Task], attacks: Sequence[Attack], *, jobs: int, on_trial: OnTrial
) -> Campaign:
    """Run all attacks against all tasks.

    Args:
        jobs: trials at once.

    Raises:
        InfraError: an episode did not start.
    """
    begun = time.monotonic()
    targets = [read_target(task, bench) for task in tasks]
    with ThreadPoolExecutor(jobs) as pool:
        references = [
            (kind, pool.submit(_play, bench, target.task, kind)) for target in targets for kind in ("gold", "noop")
        ]
        trials = {
            (attack.id, target.task.id): pool.submit(run_trial, attack, target, bench)
            for attack in sorted(attacks, key=_is_short)
            for target in targets
        }
        try:
            _follow([*trials.values(), *(future for _, future in references)], on_trial)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    rewards = {
        kind: [future.result().reward for name, future in references if name == kind] for kind in ("gold", "noop")
    }
    return Campaign(
        results=tuple(trials[attack.id, target.task.id].result() for attack in attacks for target in targets),
        tasks=len(targets),
        gold_pass=_mean(rewards["gold"]),
        noop_pass=_mean(rewards["noop"]),
        seconds=time.monotonic() - begun,
    )


def _is_short(attack: Attack) -> bool:
    """Whether a trial mostly works rather than waits for a limit. The long ones begin first: at the end of the campaign
    they would leave processors idle."""
    return not attack.hangs and attack.goal is not Goal.MASK


def _play(bench: Workbench, task: Task, kind: str) -> Outcome:
    """An episode of one that knows the answer, or of one that submits at once."""
    actions = oracle_actions(task, bench.build(task).tree) if kind == "gold" else noop_actions(task)
    with Episode(task, bench, RULES) as episode:
        episode.start()
        for action in actions:
            if episode.turn(action).outcome:
                break
        assert episode.outcome is not None
        return episode.outcome


def _follow(futures: Sequence["Future[TrialResult] | Future[Outcome]"], on_trial: OnTrial) -> None:
    for done, future in enumerate(as_completed(futures), 1):
        result = future.result()
        note = f"{result.attack} on {result.task}" if isinstance(result, TrialResult) else result.name
        on_trial(done, len(futures), note)


def _mean(rewards: Sequence[float]) -> float:
    return sum(rewards) / len(rewards) if rewards else 0.0
