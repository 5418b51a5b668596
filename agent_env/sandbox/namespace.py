"""The processes of a sandbox by the numbers of its own namespace, as its own ``/proc`` lists them.

Nobody hides from that listing: it goes by number, and new numbers are higher, so whoever leaves a child behind is seen,
or the child is. A walk from parent to child misses those whose parents, or brothers, die meanwhile (proc_pid_task(5),
on ``children``). Signals go by descriptor: a number of the host's may be another process's by the time it is used.

``proc`` stands for a descriptor of that folder throughout, and every function raises OSError where the sandbox is dead.
"""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator

from agent_env.errors import SandboxError

FIRST = 1
"""The number of a namespace's first process."""

_ROUNDS = 100
"""How often newcomers are killed before giving up: more than a fork bomb under a process limit outlasts."""

_DYING_SECONDS = 2.0
"""How long killed processes may take to die here, on a machine under load; then all of them are killed."""

_CLEARING_SECONDS = 0.5
"""How long the dead may take to be cleared away by their parents, if these do so at all: until then they count."""

_STOPPING_SECONDS = 10.0
"""How long stopped ones may take to stand still, with what little processor time their limit leaves them."""

_PAUSE = 0.001

_DEAD, _STOPPED, _HELD = frozenset("ZX"), frozenset("TZX"), frozenset("TZXD")
"""States of threads (proc_pid_stat(5)). Who waits for the kernel and was told to stop does so before it goes on."""


def members(proc: int) -> set[int]:
    """All of them, also those that are dead and not yet cleared away."""
    found = {int(name) for name in os.listdir(proc) if name.isdigit()}
    if FIRST not in found:
        raise ProcessLookupError("the namespace is dead")
    return found


def parent_of(proc: int, number: int) -> int | None:
    """A process's parent; None where there is no such process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(_stat(f"/proc/self/fd/{proc}/{number}")[1])
    return None


def send(proc: int, number: int, what: signal.Signals) -> None:
    """Send a signal; a process that is gone already is fine."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        process = os.open(str(number), os.O_RDONLY | os.O_DIRECTORY, dir_fd=proc)
        try:
            signal.pidfd_send_signal(process, what)
        finally:
            os.close(process)


def kill_all_but(proc: int, keep: Collection[int]) -> bool:
    """Kill every process that is not in ``keep``, and wait until they are cleared away; False where new ones kept
    coming or some stayed."""
    killed: set[int] = set()
    deadline = time.monotonic() + _DYING_SECONDS
    clear_by = deadline
    rounds = 0
    while rounds < _ROUNDS and time.monotonic() < deadline:
        found = members(proc).difference(keep)
        fresh = found - killed
        for number in fresh:
            send(proc, number, signal.SIGKILL)
        killed |= fresh
        if fresh:
            rounds += 1
            clear_by = time.monotonic() + _CLEARING_SECONDS
        elif not found or (time.monotonic() > clear_by and all(_are_all(proc, number, _DEAD) for number in found)):
            return True
        else:
            time.sleep(_PAUSE)  # they die when a processor is free for it
    return False


@contextlib.contextmanager
def standing_still(proc: int) -> Iterator[None]:
    """Every process stands still meanwhile, the first one and the shell too: hostile code may have got into them. Those
    that stood still before do so afterwards.

    Raises:
        SandboxError: they did not come to rest.
    """
    stopped: set[int] = set()
    try:
        _stop(proc, stopped)
        yield
    finally:
        for number in stopped:
            send(proc, number, signal.SIGCONT)


def _stop(proc: int, stopped: set[int]) -> None:
    """Stop all; adds those that had to be. They are at rest when two looks in a row find nobody else: one that is about
    to stop may just have woken another, which was looked at before.
    """
    deadline = time.monotonic() + _STOPPING_SECONDS
    looks = 0
    while looks < 2:
        if time.monotonic() > deadline:
            raise SandboxError(f"the processes of a sandbox did not stand still within {_STOPPING_SECONDS:.0f} s")
        found = members(proc)
        restless = {n for n in found if not _are_all(proc, n, _HELD if n in stopped else _STOPPED)}
        for number in restless:
            send(proc, number, signal.SIGSTOP)
        stopped |= restless
        looks = 0 if restless else looks + 1
        time.sleep(_PAUSE)


def _are_all(proc: int, number: int, states: Collection[str]) -> bool:
    """Whether all threads of a process are in one of ``states``, or it is gone. The first thread may be dead alone."""
    place = f"/proc/self/fd/{proc}/{number}/task"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return all(_is(f"{place}/{task}", states) for task in os.listdir(place))  # noqa: PTH208 - many of them in a row
    return True


def _is(place: str, states: Collection[str]) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return _stat(place)[0] in states
    return True


def _stat(place: str) -> list[str]:
    """The fields of a process, or thread, from its state on."""
    with open(f"{place}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - likewise
        return file.read().rpartition(")")[2].split()
