"""All attempts at one task: deterministic under a seed, and no two wrong fixes that mean the same."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from agent_env.grading.states import graded_edits
from env_builder.strategies.procedural.function import Function
from env_builder.strength.attempt import Attempt
from env_builder.strength.mutants import mutants
from env_builder.strength.partial import partial_fixes
from env_builder.strength.rewritten import rewritten
from env_builder.strength.solution import Known, Solution
from env_builder.strength.trivial import trivial_fixes
from tasks.patch import reader
from tasks.record import digest_json
from tasks.task import Task
from tasks.tree import list_files

_DOCSTRING_READERS = re.compile(rb"__doc__|\bgetdoc\b|\bdoctest")


def make_attempts(
    task: Task, tree: Path, solution: Solution, touched: Sequence[Function], *, most: int, seed: int
) -> Iterator[Attempt]:
    """Wrong fixes of each kind, at most ``most`` of each, then rewritten solutions.

    Every wrong fix compiles, and means something else than start, solution and the wrong fixes before it.
    """
    rng = Random(digest_json([seed, task.id, "strength"]))
    known = Known(solution)
    for made in (
        mutants(solution, touched, rng),
        _shuffled(partial_fixes(solution), rng),
        _shuffled(trivial_fixes(solution, touched), rng),
    ):
        yield from islice((attempt for attempt in made if known.is_new(attempt.files)), most)
    yield from rewritten(solution, touched, keep_docstrings=_are_docstrings_read(task, tree))


def _shuffled(made: Iterator[Attempt], rng: Random) -> list[Attempt]:
    found = list(made)
    return rng.sample(found, len(found))


def _are_docstrings_read(task: Task, tree: Path) -> bool:
    """Whether code, tests or the configuration of tests may look at docstrings."""
    edits = graded_edits(task, tree, {})
    read = reader(tree, edits)
    paths = (path for path in {*list_files(tree), *edits} if path.endswith((".py", ".cfg", ".ini", ".toml")))
    return any(_DOCSTRING_READERS.search(read(path) or b"") for path in paths)
