"""What goes wrong in an episode: commands of a hostile policy, and failures of the machine put in from outside."""

import errno
import os
import random
import signal
import threading
from dataclasses import dataclass

from agent_env.sandbox.base import Sandbox

COMMAND_SECONDS = 0.15
"""Timeout of a command: a hang costs this much."""

POLICY_FAULTS = {
    "none": "ls",
    "hang": "sleep 1000",
    "busy": "while :; do :; done",
    "daemon": "(setsid sleep 1000 >/dev/null 2>&1 &) ; setsid -f sleep 1001",
    "double fork": "(( sleep 1000 & ) & ) ; sleep 1000",
    "deaf": "trap '' TERM INT HUP; sleep 1000 & wait",
    "kill the shell": "kill -9 $$",
    "kill all": "kill -9 -1",
    "exit": "exit 3",
    "exec": "exec sleep 0.01",
    "memory": "python3 -I -c 'x = [bytearray(1 << 24) for _ in range(1000)]' || head -c 2G /dev/zero | tail -c 1G",
    "fork bomb": "bomb() { bomb | bomb & }; bomb",
    "disk": "head -c 8G /dev/zero > /testbed/full; head -c 8G /dev/zero > /tmp/full",
    "shared memory": "head -c 8G /dev/zero > /dev/shm/full",
    "inodes": "mkdir -p /tmp/many; cd /tmp/many; seq 1 400000 | xargs touch; cd /testbed",
    "deep folders": "for i in $(seq 300); do mkdir -p deep/deep/deep; cd deep/deep/deep; done; cd /testbed",
    "no permissions": "mkdir -p shut/in; touch shut/in/x; chmod 000 shut/in shut",
    "flood": "yes flood",
    "binary flood": "head -c 300M /dev/urandom",
    "stop": "kill -STOP $$",
    "no descriptors": "exec 0<&- 1>&- 2>&-; exec 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-",
}
"""Commands, by name. Each is bounded by the sandbox's limits and its timeout."""

MACHINE_FAULTS = ("host kills the sandbox", "input/output error", "trajectory folder lost")

_BROKEN = ("run", "read", "write", "changes")


@dataclass(frozen=True)
class Plan:
    """One episode's course, a function of its number alone."""

    number: int
    fault: str
    solve: bool
    """Whether the episode is solved and submitted afterwards, by the oracle's turns."""
    submit: bool
    """Whether it is submitted; else it is closed, or left to its limit of steps."""
    delay: float
    """When a failure of the machine strikes, in seconds after the episode's start, or in calls of the sandbox."""

    @property
    def by_machine(self) -> bool:
        """Whether the machine fails, and not the policy."""
        return self.fault in MACHINE_FAULTS


def plan(number: int, seed: int) -> Plan:
    """The course of episode ``number``."""
    rng = random.Random(f"{seed} {number}")
    fault = rng.choice([*POLICY_FAULTS, *MACHINE_FAULTS])
    submit = rng.random() < 0.1
    return Plan(number, fault, submit and rng.random() < 0.5, submit, rng.random())


class FailingSandbox:
    """A sandbox of which one call in a row, and all after it, meet an input/output error of the host."""

    def __init__(self, sandbox: Sandbox, calls: int) -> None:
        self._sandbox = sandbox
        self._left = calls

    def __getattr__(self, name: str) -> object:
        if name in _BROKEN:
            self._left -= 1
            if self._left < 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return getattr(self._sandbox, name)


def kill_later(sandbox: Sandbox, delay: float) -> threading.Timer:
    """Kill a sandbox's first process from the host, as an out-of-memory killer or an operator would."""
    first = sandbox._tree.first  # type: ignore[attr-defined]  # no front door leads to this on purpose

    def strike() -> None:
        try:
            os.kill(first.pid, signal.SIGKILL)
        except OSError:  # the episode was faster
            return

    timer = threading.Timer(delay * COMMAND_SECONDS, strike)
    timer.start()
    return timer
