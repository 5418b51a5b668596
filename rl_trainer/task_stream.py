"""Which tasks a step trains on: endless passes over all tasks, each pass in an order of its own, none ever skipped."""

import random
from collections.abc import Sequence


def tasks_of_step(task_ids: Sequence[str], *, step: int, count: int, seed: int) -> list[str]:
    """The ``count`` tasks of step ``step`` (from 1).

    A function of its arguments alone, so that a run that resumes sees the tasks it would have seen. Where there are
    fewer tasks than ``count``, some come more than once.
    """
    first = (step - 1) * count
    return [
        _pass(task_ids, place // len(task_ids), seed)[place % len(task_ids)] for place in range(first, first + count)
    ]


def _pass(task_ids: Sequence[str], number: int, seed: int) -> list[str]:
    order = sorted(task_ids)
    random.Random(f"{seed}-{number}").shuffle(order)
    return order
