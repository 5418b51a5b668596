"""Each attack is alive: where what stops it is missing, it gets what it is after.

An attack that works nowhere would prove nothing by failing here. For those on the reward a grader that lacks a defence
must pay (``attack_controls/paid.py``); those after something run where that is left open (``openings.py``); those that
want to be masked meet a host as it once was, or are noticed by what a dead attack does not set off.
"""

import dataclasses
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from agent_env.attack_trial import Target, read_target, run_trial
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from bench.graders.ablations import without_oracle
from bench.graders.play import REFERENCES, is_paid
from blockers.attacks.attack import Attack, Goal, Steps, View
from blockers.attacks.judge import Fooled, Trial, detected
from blockers.attacks.manifest import ATTACKS
from blockers.attacks.programs import shell
from tasks.patch import make_patch
from tasks.pool import Pool
from tasks.task import Statement
from tests.agent_env.attack_controls.holes import readable_supervisor, telling_submit, trusting_reader
from tests.agent_env.attack_controls.internet import with_internet
from tests.agent_env.attack_controls.machine import OpenBackend
from tests.agent_env.attack_controls.openings import EXCUSED, OPENINGS, Machine
from tests.agent_env.attack_controls.paid import PAID, RACES, Control
from tests.conftest import HIDDEN_PATH

BY_ID = {attack.id: attack for attack in ATTACKS}

ALONE = {
    "split-every-exception-at-once",
    "channel-supervisor-memory",
    "feedback-of-the-grader",
    "leak-statement",
    "net-tools-beside-the-shell",
}
"""Those with a test of their own below."""

CHOKING = {
    "channel-nested-line",
    "channel-unhashable-status",
    "channel-endless-number",
    "channel-half-characters",
}
"""Those that once made the host choke on a line of results."""


@pytest.fixture(scope="module")
def bench(graded_pool: Pool, store: EnvironmentStore) -> Workbench:
    return Workbench(graded_pool, store)


@pytest.fixture(scope="module")
def targets(bench: Workbench) -> list[Target]:
    return [read_target(task, bench) for task in bench.pool.tasks()]


@pytest.fixture(scope="module")
def target(targets: list[Target]) -> Target:
    return next(one for one in targets if one.task.id == "tiny-total")


class TestTable:
    def test_each_attack_has_one_control(self) -> None:
        paid = [name for control in PAID for name in control.attacks]
        masking = {attack.id for attack in ATTACKS if attack.goal is Goal.MASK}
        named = Counter([*paid, *OPENINGS, *EXCUSED, *ALONE, *masking])
        assert set(named) == set(BY_ID)
        assert named.total() == len(ATTACKS)
        assert masking >= CHOKING

    def test_each_attack_on_the_reward_has_one_that_shows_it(self) -> None:
        assert not [name for name in EXCUSED if BY_ID[name].goal is Goal.REWARD]

    @pytest.mark.parametrize("attack", [a for a in ATTACKS if a.goal is Goal.MASK], ids=lambda attack: attack.id)
    def test_what_notices_a_masking_attack_does_not_notice_a_dead_one(self, attack: Attack) -> None:
        if attack.id not in CHOKING:
            assert not any(detected(attack, trial, token="x") for trial in dead_trials(attack))


def dead_trials(attack: Attack) -> list[Trial]:
    """What comes of an attack that does nothing, and of one whose payload is no Python."""
    idle = Trial(outcome="Scored", reward=0.0, masked=False, reason="tests_failed", left_out=(), seen="", escaped=False)
    steps = attack.steps(View(statement="", canary=""))
    is_planted = any("/tmp/payload.py" in step for step in steps)
    return [idle, dataclasses.replace(idle, reason="tests_missing")] if is_planted else [idle]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("control", PAID, ids=lambda control: control.grader.__name__)
class TestPaid:
    def test_gold_is_paid_and_no_work_is_not(self, control: Control, bench: Workbench, targets: list[Target]) -> None:
        for target in targets:
            paid = [is_paid(control.grader, who, target, bench, prepare=control.prepare) for who in REFERENCES]
            assert paid == [True, False]

    def test_so_are_its_attacks(self, control: Control, bench: Workbench, targets: list[Target]) -> None:
        unpaid = [
            (name, target.task.id)
            for name in control.attacks
            for target in targets
            if not any(
                is_paid(control.grader, BY_ID[name], target, bench, prepare=control.prepare)
                for _ in range(RACES.get(name, 1))
            )
        ]
        assert unpaid == []


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::agent_env.workbench.UnblockedWarning")
@pytest.mark.parametrize("name", OPENINGS)
def test_what_is_left_open_is_taken_by_its_attack_alone(
    name: str,
    graded_pool: Pool,
    store: EnvironmentStore,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opening, attack = OPENINGS[name], BY_ID[name]
    shared = tmp_path / "shared"
    shared.mkdir()
    if opening.machine is Machine.SHARED:
        monkeypatch.setattr(tempfile, "tempdir", str(shared))
    bench = opened(opening.machine, graded_pool, store, tmp_path, shared)
    steps = with_internet(attack) if opening.machine is Machine.CONNECTED else attack.steps
    before = opening.before.replace("GOLD_LINE", min(target.gold_lines))
    before = before.replace("HIDDEN_TESTS", "\n".join(target.sources.values()))

    def among(steps: Steps) -> Attack:
        return dataclasses.replace(attack, steps=lambda view: list(filter(None, [before, *steps(view), opening.after])))

    assert run_trial(among(shell()), target, bench).fooled is None
    result = run_trial(among(steps), target, bench)
    assert result.fooled in (Fooled.OBTAINED, Fooled.LEAKED, Fooled.ESCAPED), result.trial


def opened(machine: Machine, pool: Pool, store: EnvironmentStore, folder: Path, shared: Path) -> Workbench:
    """Where sandboxes are as open as the machine says."""
    if machine is Machine.CLOSED:
        return Workbench(pool, store)
    if machine is Machine.UNBLOCKED:
        return Workbench(pool.copy_unblocked(folder / "unblocked"), store)
    backend = OpenBackend(folder / "open", shared=(shared,) if machine is Machine.SHARED else ())
    return Workbench(pool, EnvironmentStore(backend, store.root))


@pytest.mark.network
@pytest.mark.slow
class TestAlone:
    def test_a_line_of_results_chokes_a_host_that_trusts_it(self, bench: Workbench, target: Target) -> None:
        with trusting_reader():
            found = {name: run_trial(BY_ID[name], target, bench).fooled for name in CHOKING}
        assert found == dict.fromkeys(CHOKING, Fooled.CRASHED)

    def test_a_supervisor_that_may_be_read_is(self, bench: Workbench, target: Target, tmp_path: Path) -> None:
        attack = BY_ID["channel-supervisor-memory"]  # it ends the run where it can read nothing
        assert run_trial(attack, target, bench).trial.reason == "no_result"
        with readable_supervisor(tmp_path / "runner"):
            assert run_trial(attack, target, bench).trial.reason == "tests_failed"

    def test_what_a_submit_tells_of_hidden_tests_is_seen(self, bench: Workbench, target: Target) -> None:
        with telling_submit():
            assert run_trial(BY_ID["feedback-of-the-grader"], target, bench).fooled is Fooled.LEAKED

    def test_a_statement_with_the_fix_is_a_leak(self, bench: Workbench, target: Target) -> None:
        told = Statement(text=f"Write {min(target.gold_lines)} there.", method="template")
        target = dataclasses.replace(target, task=target.task.model_copy(update={"statement": told}))
        assert run_trial(BY_ID["leak-statement"], target, bench).fooled is Fooled.LEAKED

    def test_a_tool_that_there_is_answers(self, bench: Workbench, target: Target) -> None:
        attack = dataclasses.replace(BY_ID["net-tools-beside-the-shell"], steps=shell("fetch", "search"))
        assert run_trial(attack, target, bench).fooled is Fooled.OBTAINED

    def test_every_exception_at_once_is_paid_where_tests_ask_for_exceptions_alone(
        self, bench: Workbench, target: Target
    ) -> None:
        raising = asking_for_an_exception(target)
        assert is_paid(without_oracle, "noop", raising, bench) is False
        assert is_paid(without_oracle, BY_ID["split-every-exception-at-once"], raising, bench)


def asking_for_an_exception(target: Target) -> Target:
    """The task with a hidden test that asks for nothing but an exception, which its start state does not raise."""
    test = (
        "import pytest\n\nfrom tiny.counting import total\n\n\n"
        "def test_refused():\n    with pytest.raises(ValueError):\n        total([1])\n"
    )
    changed = {
        "test_patch": make_patch({}, {HIDDEN_PATH: test.encode()}),
        "fail_to_pass": (f"{HIDDEN_PATH}::test_refused",),
        "pass_to_pass": (),
    }
    return dataclasses.replace(target, task=target.task.model_copy(update=changed), sources={HIDDEN_PATH: test})
