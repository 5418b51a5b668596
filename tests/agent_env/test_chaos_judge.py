"""What bench.chaos holds against an episode: its gate must not pass what it is there for."""

from pathlib import Path

import pytest

from agent_env.outcome import InfraFailed, Outcome, Scored
from agent_env.trajectory import Agent, TrajectoryRecorder
from bench.chaos.judge import ENOUGH, Strikes, Told, lost_trajectory, wrong_scores
from bench.chaos.plan import (
    BROKEN_END,
    BROKEN_GRADING,
    BROKEN_HOST,
    KILLED_GRADING,
    LOST,
    MACHINE_FAULTS,
    Plan,
    plan,
)
from bench.chaos.policy_faults import HARMS_THE_WORK, POLICY_FAULTS, USES_UP

MASKED = "InfraFailed"


def planned(fault: str, *, solve: bool = True) -> Plan:
    return Plan(7, fault, solve, True, 0.5, False, False)


def told(ended: str, reward: float = 0.0, *, struck: bool = True, cut: bool = False) -> Told:
    return Told(ended, reward, ended == MASKED, struck, cut, Path("x"), "", 0.0)


def wrong(fault: str, said: Told, *, solve: bool = True, met_restart: bool = False) -> list[str]:
    return list(wrong_scores(planned(fault, solve=solve), said, met_restart=met_restart))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", told("Scored", 1.0)),
        ("disk", told("Scored", 0.0)),
        ("disk", told("PolicyFault")),
        ("hang", told("LimitStopped")),
        (KILLED_GRADING, told("Scored", 1.0)),
        (KILLED_GRADING, told(MASKED)),
        (BROKEN_GRADING, told(MASKED)),
        (BROKEN_GRADING, told("LimitStopped", cut=True)),
        (BROKEN_GRADING, told("Scored", 1.0, struck=False)),
    ],
)
def test_what_must_not_be_held_against_an_episode(fault: str, said: Told) -> None:
    assert wrong(fault, said) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", told("Scored", 0.0)),
        ("none", told(MASKED)),
        ("hang", told("PolicyFault")),
        (KILLED_GRADING, told("Scored", 0.0)),
        (KILLED_GRADING, told("PolicyFault")),
        (KILLED_GRADING, told(MASKED, struck=False)),
        (BROKEN_GRADING, told("Scored", 1.0)),
        (LOST, told("LimitStopped")),
        (BROKEN_HOST, told(MASKED, 1.0)),
    ],
)
def test_what_must(fault: str, said: Told) -> None:
    assert wrong(fault, said)


def test_a_reward_without_work_is_wrong_and_none_is_right() -> None:
    assert wrong(BROKEN_HOST, told("Scored", 1.0), solve=False)
    assert not wrong(BROKEN_HOST, told("Scored", 0.0), solve=False)


def test_a_restart_excuses_a_mask_and_no_reward() -> None:
    assert not wrong("none", told(MASKED), met_restart=True)
    assert wrong("none", told("Scored", 1.0), solve=False, met_restart=True)


def test_a_fault_that_never_struck_is_told_once_it_was_planned_often_enough() -> None:
    strikes = Strikes()
    for number in range(ENOUGH):
        assert strikes.never() == []
        strikes.add(planned("hang"), told("LimitStopped", struck=number < 0))
        strikes.add(planned("exit"), told("LimitStopped", struck=number == 3))
        strikes.add(planned("stop"), told("LimitStopped", struck=False, cut=True))
    assert strikes.never() == [f"hang: planned {ENOUGH} times, struck never"]


@pytest.mark.parametrize(
    ("fault", "written", "said", "lost"),
    [
        ("none", Scored(1.0), told("Scored", 1.0), False),
        ("none", Scored(1.0), told("Scored", 0.0), True),
        ("none", None, told("Scored", 1.0), True),
        ("none", None, None, False),
        (BROKEN_END, None, told(MASKED), False),
        (BROKEN_END, None, told("Scored", 1.0), True),
        (BROKEN_END, Scored(1.0), told(MASKED), True),
        (BROKEN_END, InfraFailed("x"), told(MASKED), False),
    ],
)
def test_a_trajectory_says_what_the_episode_said(
    tmp_path: Path, fault: str, written: Outcome | None, said: Told | None, *, lost: bool
) -> None:
    recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id="t")
    recorder.start("prompt")
    if written:
        recorder.finish(written)
    assert bool(lost_trajectory(planned(fault), recorder.path, said)) == lost


def test_a_trajectory_that_is_not_there_is_lost(tmp_path: Path) -> None:
    assert lost_trajectory(planned("none"), tmp_path / "none.json", told("Scored", 1.0))
    assert not lost_trajectory(planned(LOST), tmp_path / "none.json", told(MASKED))


def test_one_that_an_interrupt_kept_from_starting_may_lose_its_only_write(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    for fault, said, begun, lost in (
        (BROKEN_END, told(MASKED), False, False),
        (BROKEN_END, told(MASKED), True, True),
        (BROKEN_END, told(MASKED, struck=False), False, True),
        (BROKEN_END, told("LimitStopped"), False, True),
        ("none", told(MASKED), False, True),
    ):
        assert bool(lost_trajectory(planned(fault), path, said, begun=begun)) == lost


def test_every_fault_comes_up_and_the_same_each_time() -> None:
    plans = [plan(number, 0) for number in range(600)]
    assert {one.fault for one in plans} == {*POLICY_FAULTS, *MACHINE_FAULTS}
    assert plans == [plan(number, 0) for number in range(600)]
    assert {*POLICY_FAULTS} > USES_UP > HARMS_THE_WORK
    assert all(one.submit for one in plans if one.solve)
