"""The manifest of attacks: whole, unambiguous, and honest about what it leaves out."""

import ast
import subprocess
from collections import Counter

import pytest

from blockers.attacks.attack import Goal, View
from blockers.attacks.manifest import ATTACKS, EXCUSED, VECTORS, select_attacks
from blockers.path_rules import Reason
from tasks.errors import BadInputError

VIEW = View(
    statement="What total gives is wrong.",
    canary="/tmp/canary",
    failing=("tests/test_a.py::test_one",),
    passing=("tests/test_a.py::test_two[1-'x']",),
    sources={"tests/test_a.py": "def test_one():\n    assert 'it''s' == \"x\\n\"\n"},
)


def test_ids_are_unique() -> None:
    assert not [name for name, times in Counter(attack.id for attack in ATTACKS).items() if times > 1]


def test_every_vector_is_tried_or_excused() -> None:
    tried = {attack.vector for attack in ATTACKS if attack.vector != "own"}
    assert tried | set(EXCUSED) == set(range(1, VECTORS + 1))
    assert not tried & set(EXCUSED)
    assert all(EXCUSED.values())


def test_there_are_enough() -> None:
    own = [attack for attack in ATTACKS if attack.vector == "own"]
    assert len(ATTACKS) - len(own) >= 50
    assert len(own) >= 10


def test_entries_say_what_they_do_and_what_must_see_it() -> None:
    for attack in ATTACKS:
        assert attack.title, attack.id
        assert attack.how.endswith("."), attack.id
        kinds = {detector.partition(":")[0] for detector in attack.caught_by}
        assert kinds, attack.id
        assert kinds <= {"grade", "left_out", "outcome", "stopped", "cut", "refused"}, attack.id
        for detector in attack.caught_by:
            if detector.startswith("left_out:"):
                assert Reason(detector.removeprefix("left_out:"))
        assert attack.history or not attack.needs, attack.id


def test_their_programs_parse() -> None:
    scripts = "\n".join(
        step for attack in ATTACKS if attack.goal is not Goal.OTHER_TOOLS for step in attack.steps(VIEW)
    )
    checked = subprocess.run(["bash", "-n"], input=scripts, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert not checked.stderr
    programs = scripts.split("<<'END_OF_ATTACK'\n")[1:]
    assert len(programs) > 80
    for program in programs:
        ast.parse(program.partition("\nEND_OF_ATTACK")[0])


def test_only_who_knows_the_tests_names_them() -> None:
    told = {attack.id for attack in ATTACKS if any("test_one" in step for step in attack.steps(VIEW))}
    knowing = {attack.id for attack in ATTACKS if attack.knows == "tests"}
    assert told <= knowing
    assert len(told) >= 5


def test_attacks_are_chosen_by_the_beginnings_of_their_ids() -> None:
    assert select_attacks() == list(ATTACKS)
    chosen = {attack.id for attack in select_attacks(["git-future", "net-dns"])}
    assert chosen == {"git-future-refs", "net-dns"}
    for bad in ("nonsense", ""):
        with pytest.raises(BadInputError, match=f"no attack's id begins with {bad!r}; ids begin with .*git, "):
            select_attacks([bad])
