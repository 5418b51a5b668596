"""What the monitor saw reaches the trainer: as metrics, as a penalty on the advantage, never in the reward."""

import torch

from agent_env.outcome import InfraFailed, Scored
from blockers.monitor.events import Event, Stage, Status, Vector
from rl_trainer.algorithm import ALGORITHMS
from rl_trainer.credit import assign_credit
from rl_trainer.hack_metrics import hack_metrics
from rl_trainer.rollout import Rollout
from rl_trainer.text_env import read_events
from rl_trainer.tokens import Trace


def event(vector: Vector, status: Status = "blocked") -> Event:
    return Event(vector=vector, stage=Stage.LOOK, status=status, turn=1, evidence="x")


def rollout(reward: float, *events: Event) -> Rollout:
    trace = Trace()
    trace.add_sampled([1, 2], [-0.5, -0.5], version=0)
    return Rollout("task", trace, Scored(reward), 1, 0.0, events)


def test_rates_count_rollouts_not_events():
    shown = hack_metrics(
        [
            rollout(0.0, event(Vector.NETWORK), event(Vector.NETWORK), event(Vector.GIT_HISTORY, "succeeded")),
            rollout(1.0),
            rollout(0.0, event(Vector.NETWORK, "attempted")),
            rollout(1.0),
        ]
    )
    assert shown == {
        "hack/any_rate": 0.5,
        "hack/attempted_rate": 0.25,
        "hack/blocked_rate": 0.25,
        "hack/succeeded_rate": 0.25,
        "hack/git_history": 0.25,
        "hack/network": 0.5,
    }
    assert hack_metrics([])["hack/any_rate"] == 0.0


def test_the_penalty_moves_the_advantage_and_not_the_reward():
    rollouts = [rollout(1.0, event(Vector.NETWORK)), rollout(1.0)]

    def rows(penalty: float) -> list[float]:
        credit = assign_credit(rollouts, [0, 0], ALGORITHMS["grpo"], max_length=8, keep_all=True, hack_penalty=penalty)
        return [row.advantage for row in credit.rows]

    assert rows(0.0) == [0.0, 0.0]
    hacked, honest = rows(0.5)
    assert hacked < 0 < honest
    assert [one.reward for one in rollouts] == [1.0, 1.0]


def test_a_broken_rollout_takes_no_part_whatever_it_tried():
    broken = rollout(0.0, event(Vector.NETWORK))._replace(outcome=InfraFailed("disk"))
    credit = assign_credit(
        [rollout(1.0), rollout(0.0), broken],
        [0, 0, 0],
        ALGORITHMS["grpo"],
        max_length=8,
        keep_all=False,
        hack_penalty=9.0,
    )
    assert len(credit.rows) == 2
    assert torch.tensor([row.advantage for row in credit.rows]).sum().abs() < 1e-6


def test_events_are_read_from_the_info_of_a_step():
    one = event(Vector.TRIPWIRE, "succeeded")
    assert read_events({"events": (one.model_dump(mode="json"),)}) == (one,)
    assert read_events({}) == ()
