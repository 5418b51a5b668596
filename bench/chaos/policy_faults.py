"""What a hostile policy does to its sandbox, and how one sees that it did."""

from collections.abc import Callable
from typing import NamedTuple

from agent_env.sandbox.base import CommandResult, StopCause

HANG_SECONDS = 0.15
"""Timeout of a command that would never end: it costs this much."""

WORK_SECONDS = 6.0
"""Timeout of one that has to reach a limit first."""


class Seen(NamedTuple):
    """What an episode showed of its first two commands: the policy's, and a harmless one."""

    first: CommandResult
    second: CommandResult
    refused: int
    """Processes that could not start, by the kernel's count."""


class PolicyFault(NamedTuple):
    """One way to break a sandbox; bounded by the sandbox's limits and the timeout."""

    command: str
    struck: Callable[[Seen], bool]
    """Whether what it is meant to do took place."""
    seconds: float = WORK_SECONDS


def _ran(seen: Seen) -> bool:
    return seen.first.exit_code == 0


def _hung(seen: Seen) -> bool:
    return seen.first.stopped is StopCause.TIMEOUT


def _shell_died(seen: Seen) -> bool:
    said = seen.first.output + seen.second.output
    return StopCause.SHELL_DIED in (seen.first.stopped, seen.second.stopped) or "was restarted" in said


def _flooded(seen: Seen) -> bool:
    return len(seen.first.output) > 20_000


def _filled(seen: Seen) -> bool:
    return seen.first.stopped is StopCause.DISK_FULL


def _used_memory(seen: Seen) -> bool:
    return seen.first.stopped is StopCause.OUT_OF_MEMORY


def _was_refused(seen: Seen) -> bool:
    return seen.refused > 0


def _hit_the_file_limit(seen: Seen) -> bool:
    return any(words in seen.first.output for words in ("too large", "size limit exceeded"))


def _filled_memory(seen: Seen) -> bool:
    return _used_memory(seen) or "No space" in seen.first.output


POLICY_FAULTS = {
    "none": PolicyFault("ls", _ran),
    "hang": PolicyFault("sleep 1000", _hung, HANG_SECONDS),
    "busy": PolicyFault("while :; do :; done", _hung, HANG_SECONDS),
    "daemon": PolicyFault(
        "(setsid sleep 1000 >/dev/null 2>&1 &) ; setsid -f sleep 1001; sleep 0.1; grep -l ^sleep /proc/[0-9]*/cmdline",
        _ran,
    ),
    "double fork": PolicyFault("(( sleep 1000 & ) & ) ; sleep 1000", _hung, HANG_SECONDS),
    "deaf": PolicyFault("trap '' TERM INT HUP; sleep 1000 & wait", _hung, HANG_SECONDS),
    "kill the shell": PolicyFault("kill -9 $$", _shell_died),
    "kill all": PolicyFault("kill -9 -1", _shell_died),
    "exit": PolicyFault("exit 3", _shell_died),
    "exec": PolicyFault("exec sleep 0.01", _shell_died),
    "memory": PolicyFault(
        "python3 -I -c 'x = [bytearray(1 << 24) for _ in range(1000)]' || head -c 2G /dev/zero | tail -c 1G",
        _used_memory,
    ),
    "fork bomb": PolicyFault("bomb() { bomb | bomb & }; bomb; sleep 1000", _was_refused, 0.6),
    "disk": PolicyFault("head -c 8G /dev/zero > /testbed/full; head -c 8G /dev/zero > /tmp/full", _filled),
    "large file": PolicyFault("head -c 8G /dev/zero > /dev/shm/full", _hit_the_file_limit),
    "shared memory": PolicyFault("for i in 1 2 3 4; do head -c 60M /dev/zero > /dev/shm/$i; done", _filled_memory),
    "inodes": PolicyFault("mkdir -p /tmp/many && (cd /tmp/many; seq 1 30000 | xargs touch)", _filled),
    "deep folders": PolicyFault(
        "way=$(printf 'deep/%.0s' $(seq 500)); for i in 1 2 3 4; do mkdir -p $way && cd $way; done; cd /testbed", _ran
    ),
    "no permissions": PolicyFault("mkdir -p shut/in; touch shut/in/x; chmod 000 shut/in shut", _ran),
    "flood": PolicyFault("yes flood", _flooded, HANG_SECONDS),
    "binary flood": PolicyFault("head -c 300M /dev/urandom", _flooded, HANG_SECONDS),
    "stop": PolicyFault("kill -STOP $$", _hung, HANG_SECONDS),
    "no descriptors": PolicyFault(
        "exec 0<&- 1>&- 2>&-; exec 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-", lambda seen: _ran(seen) or _shell_died(seen)
    ),
}

USES_UP = frozenset({"memory", "fork bomb", "disk", "inodes", "shared memory"})
"""Those after which a sandbox that fails is the policy's own doing (``PolicyFault``)."""

HARMS_THE_WORK = frozenset({"disk", "inodes"})
"""Those after which there is no room for a solution."""
