"""What a vector environment's ``reset`` is told, checked: seeds, which to reset, and their tasks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import BadInputError

KNOWN = ("reset_mask", "task_id", "task_ids")


def read_seeds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """A seed for each of ``count`` sub-environments."""
    if seed is None:
        return [None] * count
    if isinstance(seed, int):
        return [seed + number for number in range(count)]
    if len(seed) != count:
        raise BadInputError(f"{len(seed)} seeds were given for {count} sub-environments: expected one for each")
    return list(seed)


def read_options(
    options: Mapping[str, Any], count: int, task_ids: Collection[str]
) -> tuple[npt.NDArray[np.bool_], list[str | None]]:
    """Which sub-environments to reset, and the task of each or None.

    Raises:
        BadInputError: an option that is not known, of the wrong form, or a task that is not among ``task_ids``.
    """
    if unknown := sorted(set(options) - set(KNOWN)):
        raise BadInputError(f"unknown reset options {unknown}; expected some of {', '.join(KNOWN)}")
    mask = _read_mask(options.get("reset_mask"), count)
    ids = _read_ids(options, count)
    for number in np.flatnonzero(mask):
        wanted = ids[number]
        if wanted is not None and wanted not in task_ids:
            raise BadInputError(f"no task {wanted!r} among the {len(task_ids)} of this environment")
    return mask, ids


def _read_mask(mask: Any, count: int) -> npt.NDArray[np.bool_]:
    if mask is None:
        return np.ones(count, dtype=np.bool_)
    if not isinstance(mask, np.ndarray) or mask.shape != (count,) or mask.dtype != np.bool_ or not mask.any():
        raise BadInputError(
            f"reset_mask is {mask!r}; expected a NumPy array of {count} booleans of which one or more are True"
        )
    return mask


def _read_ids(options: Mapping[str, Any], count: int) -> list[str | None]:
    one, each = options.get("task_id"), options.get("task_ids")
    if each is None:
        return [one] * count
    if one is not None:
        raise BadInputError("both task_id and task_ids are given: expected one of them")
    if isinstance(each, str) or len(each) != count:
        raise BadInputError(f"task_ids is {each!r}; expected a task id or None for each of {count} sub-environments")
    return list(each)
