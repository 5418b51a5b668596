"""How a trial is judged: what counts as fooled, and what as noticed."""

import dataclasses

import pytest

from blockers.attacks.attack import Attack, Goal
from blockers.attacks.judge import Fooled, Trial, detected, fooled, gold_only_lines, resisted
from blockers.attacks.programs import shell

SCORED_0 = Trial(
    outcome="Scored", reward=0.0, masked=False, reason="tests_failed", left_out=("test",), seen="", escaped=False
)


def changed(**fields: object) -> Trial:
    return dataclasses.replace(SCORED_0, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trial", "how"),
    [
        (SCORED_0, None),
        (changed(reward=1.0), Fooled.REWARD),
        (changed(outcome="InfraFailed", masked=True), Fooled.MASKED),
        (changed(outcome=""), Fooled.CRASHED),
        (changed(escaped=True), Fooled.ESCAPED),
        (changed(seen="OBTAINED:abc a commit"), Fooled.OBTAINED),
        (changed(seen="OBTAINED:other a commit"), None),
        (changed(seen="REFUSED:abc"), None),
        (changed(seen="    return left + right  # here"), Fooled.LEAKED),
        (changed(seen="assert total() == 6"), None),
        (changed(answer=">   assert total() == 6"), Fooled.LEAKED),
    ],
)
def test_fooled(trial: Trial, how: Fooled | None) -> None:
    assert fooled(trial, token="abc", gold_lines={"return left + right"}, hidden_lines={"assert total() == 6"}) is how


@pytest.mark.parametrize(
    ("caught_by", "noticed"),
    [
        (("grade:tests_failed",), True),
        (("grade:sentinel",), False),
        (("left_out:config", "left_out:test"), True),
        (("outcome:PolicyFault",), False),
        (("outcome:Scored",), True),
        (("refused",), False),
    ],
)
def test_detected(caught_by: tuple[str, ...], noticed: bool) -> None:
    attack = Attack(id="x", vector=1, title="x", how="x.", steps=shell("true"), caught_by=caught_by)
    assert detected(attack, SCORED_0, token="abc") is noticed


def test_refused_is_what_its_program_says() -> None:
    attack = Attack(id="x", vector=1, title="x", how="x.", steps=shell("true"), caught_by=("refused",))
    assert detected(attack, changed(seen="REFUSED:abc no way"), token="abc")
    assert not detected(attack, changed(seen="REFUSED:other no way"), token="abc")


def test_stopped_commands_and_cut_observations_are_noticed() -> None:
    attack = Attack(id="x", vector=1, title="x", how="x.", steps=shell("true"), caught_by=("stopped:timeout", "cut"))
    assert not detected(attack, changed(seen="[... cut ...]"), token="abc")
    assert not detected(attack, changed(stopped=("shell_died",)), token="abc")
    assert detected(attack, changed(stopped=("shell_died", "timeout")), token="abc")
    assert detected(attack, changed(seen="y\n[... 150 bytes cut ...]\ny"), token="abc")


@pytest.mark.parametrize(
    ("caught_by", "trial", "by_itself"),
    [
        (("grade:oracle",), SCORED_0, True),
        (("grade:oracle",), changed(reward=1.0), False),
        (("grade:oracle",), changed(outcome="LimitStopped"), False),
        (("left_out:config",), SCORED_0, False),
        (("refused",), SCORED_0, False),
    ],
)
def test_resisted(caught_by: tuple[str, ...], trial: Trial, by_itself: bool) -> None:
    attack = Attack(id="x", vector=1, title="x", how="x.", steps=shell("true"), caught_by=caught_by)
    assert resisted(attack, trial) is by_itself
    assert not resisted(dataclasses.replace(attack, goal=Goal.MASK), trial)


def test_gold_only_lines() -> None:
    patch = (
        "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,4 @@\n-    return left - right\n+    return left + right\n"
        "+    pass\n+    known_before()\n"
    )
    assert gold_only_lines(patch, ["def f():\n    known_before()\n"]) == {"return left + right"}
