"""What a vector environment's ``reset`` is told, checked: seeds, which to reset, and their tasks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from tasks.errors import BadInputError

KNOWN = ("reset_mask", "task_id", "task_ids")


def read_seeds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """A seed for each of ``count`` sub-environments.

    Raises:
        BadInputError: it is neither a whole number from 0 nor one or None for each.
    """
    if seed is None:
        return [None] * count
    if _is_seed(seed):
        return [seed + number for number in range(count)]
    if not isinstance(seed, Sequence) or isinstance(seed, str):
        raise BadInputError(f"seed is {seed!r}; expected a whole number from 0, or one or None for each of {count}")
    for number, given in enumerate(seed):
        if given is not None and not _is_seed(given):
            raise BadInputError(f"seed {number} is {given!r}; expected a whole number (int) from 0, or None")
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
        if wanted is not None and not (isinstance(wanted, str) and wanted in task_ids):
            raise BadInputError(
                f"no task {wanted!r:.100} among the {len(task_ids)} of this environment: expected one of their ids"
            )
    return mask, ids


def _is_seed(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
    if isinstance(each, str) or not isinstance(each, Sequence) or len(each) != count:
        raise BadInputError(f"task_ids is {each!r}; expected a task id or None for each of {count} sub-environments")
    return list(each)
