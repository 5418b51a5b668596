"""Mutants of a solution: one small bug in a function that the gold patch touches."""

from collections.abc import Iterator, Sequence
from random import Random

from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.modifiers import MODIFIERS
from env_builder.strategies.procedural.planting import plant
from env_builder.strength.attempt import Attempt, Kind
from env_builder.strength.solution import Solution


def mutants(solution: Solution, touched: Sequence[Function], rng: Random) -> Iterator[Attempt]:
    """Mutants in random order, round robin over kinds of bugs and, within one, over functions; lazy."""
    kinds = dict(rng.sample(list(MODIFIERS.items()), len(MODIFIERS)))
    for planted in plant(touched, rng, modifiers=kinds):
        state = solution.with_file(planted.function.path, planted.source)
        yield Attempt(Kind.MUTANT, planted.modifier, planted.function.target, state)
