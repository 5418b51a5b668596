"""What the wrappers share: the environment at the bottom."""

from typing import Any

import gymnasium

from agent_env.env import SWEEnv
from tasks.errors import BadInputError


def inner_env(env: gymnasium.Env[Any, Any]) -> SWEEnv:
    """The ``SWEEnv`` inside all wrappers.

    Raises:
        BadInputError: there is another one.
    """
    inner = env.unwrapped if isinstance(env, gymnasium.Env) else env
    if not isinstance(inner, SWEEnv):
        raise BadInputError(f"expected a RepoDojo/SWE-v0 environment, bare or wrapped; got {type(inner).__name__}")
    return inner
