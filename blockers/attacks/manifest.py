"""All attacks, and what of the catalogue of vectors is not among them and why."""

from collections.abc import Sequence

from blockers.attacks import (
    beside,
    channel,
    choking,
    endings,
    exhaustion,
    git,
    leaks,
    network,
    privileges,
    rewriting,
    runner,
    split,
    tampering,
    values,
)
from blockers.attacks.attack import Attack
from tasks.errors import BadInputError

ATTACKS: tuple[Attack, ...] = (
    *git.ATTACKS,
    *network.ATTACKS,
    *leaks.ATTACKS,
    *privileges.ATTACKS,
    *tampering.ATTACKS,
    *rewriting.ATTACKS,
    *runner.ATTACKS,
    *values.ATTACKS,
    *split.ATTACKS,
    *channel.ATTACKS,
    *choking.ATTACKS,
    *endings.ATTACKS,
    *beside.ATTACKS,
    *exhaustion.ATTACKS,
)
"""Every attack, by kind."""

VECTORS = 50
"""Vectors of the catalogue, numbered from 1."""

EXCUSED = {
    18: "a fix recalled from memory is written down like any other; only fresh or altered tasks are less exposed",
    40: "no model judges anything here, so there is none to inject a prompt into",
    41: "a wrong patch that passes weak tests fools the tests, not the grader; repodojo pool strength measures how often",
    44: "no verifier here greps the candidate's source",
}
"""Vectors that cannot be tried by a program here, and why."""


def select_attacks(prefixes: Sequence[str] = ()) -> list[Attack]:
    """The attacks whose id begins with one of ``prefixes``; all where there is none.

    Raises:
        BadInputError: nothing begins so.
    """
    for prefix in prefixes:
        if not prefix or not any(attack.id.startswith(prefix) for attack in ATTACKS):
            beginnings = sorted({attack.id.partition("-")[0] for attack in ATTACKS})
            raise BadInputError(f"no attack's id begins with {prefix!r}; ids begin with {', '.join(beginnings)}")
    return [attack for attack in ATTACKS if not prefixes or attack.id.startswith(tuple(prefixes))]
