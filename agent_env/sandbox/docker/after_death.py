"""What the guard does when its host process is dead.

It looks more than once: a container that was asked for just before the death is made by the daemon afterwards, and the
daemon itself may be away, as while it restarts.
"""

import contextlib
import time

from agent_env.sandbox.docker.backend import DockerBackend
from tasks.errors import RepoDojoError

PAUSES = (0.0, 1.0, 4.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0)
"""Seconds before each look. A daemon that is away is waited for until all are over."""

_SETTLED_SECONDS = 60.0
"""Once it has answered, so long until nothing more can come; a request to it takes no longer (``docker_client``)."""


def reap_after_death() -> None:
    """Remove what dead host processes left, until all that they asked for must have come."""
    answered = 0.0
    for pause in PAUSES:
        time.sleep(pause)
        with contextlib.suppress(RepoDojoError):
            DockerBackend().reap()
            answered = answered or time.monotonic()
        if answered and time.monotonic() >= answered + _SETTLED_SECONDS:
            return
