"""Containers started ahead of their use. A thread of this process makes them, one at a time and with pauses, and
removes what has served: so that a start and a reset wait for neither.

The pool follows what is asked for: a plan that was asked for twice is kept in store, one for each one taken. It holds
few and not for long; all of it goes at the end of this process, and by the reaper where that is killed.
"""

import atexit
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable

from agent_env.errors import SandboxError
from agent_env.sandbox.docker.container import Container
from agent_env.sandbox.docker.guard import leave_to_guard
from agent_env.sandbox.docker.plan import Plan

ANSWER_SECONDS = 1.0
"""How long an idle container may take to show that it lives."""

AGE_SECONDS = 300.0
"""How long one may wait for its use."""

SPACING_SECONDS = 0.1
"""The shortest pause between the end of one creation and the beginning of the next."""

PATIENCE_SECONDS = 60.0
"""The longest pause after failures; it doubles from one second."""

_LOOK_SECONDS = 15.0
"""How often idle containers are looked at."""

_PLANS = 256
"""How many plans are remembered."""

_live: "weakref.WeakSet[WarmPool]" = weakref.WeakSet()


class WarmPool:
    """Idle containers of this process.

    Args:
        size: how many at most.
        make: starts one; raises SandboxError.
    """

    def __init__(self, size: int, make: Callable[[Plan], Container] = Container) -> None:
        self._size = size
        self._make = make
        self._owner = os.getpid()
        self._changed = threading.Condition()
        self._idle: list[Container] = []
        """The oldest first."""
        self._doomed: deque[Container] = deque()
        self._wanted: deque[Plan] = deque()
        self._asked: Counter[Plan] = Counter()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._pause = 0.0
        self._not_before = 0.0
        _live.add(self)

    def __len__(self) -> int:
        """How many are ready to be taken."""
        with self._changed:
            return len(self._idle)

    def take(self, plan: Plan) -> Container | None:
        """An idle container of that plan that answers, if there is one; another will be made in its place."""
        while True:
            with self._changed:
                found = next((idle for idle in self._idle if idle.plan == plan), None)
                if found is None:
                    self._want(plan)
                    return None
                self._idle.remove(found)
            if found.answers(ANSWER_SECONDS):
                with self._changed:
                    self._want(plan)
                return found
            found.end()
            self.bury(found)

    def bury(self, container: Container) -> None:
        """Have a dead container removed soon."""
        with self._changed:
            self._doomed.append(container)
            self._wake()

    def close(self) -> None:
        """Empty the pool; on return nothing of it is left with the daemon. It fills again when it is used again.

        Raises:
            SandboxError: the daemon refused to remove something; a reaper will.
        """
        if self._owner != os.getpid():
            return
        with self._changed:
            self._closing = True
            self._wanted.clear()
            self._asked.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        with self._changed:
            self._thread = None
            self._closing = False
            doomed, self._doomed = [*self._doomed], deque()
            idle, self._idle = self._idle, []
        for container in idle:
            container.end()
        failures = [failure for container in (*doomed, *idle) if (failure := _removed(container))]
        if failures:
            raise failures[0]

    def _want(self, plan: Plan) -> None:
        self._asked[plan] += 1
        if len(self._asked) > _PLANS:
            del self._asked[next(iter(self._asked))]
        ahead = sum(idle.plan == plan for idle in self._idle) + self._wanted.count(plan)
        if self._asked[plan] > 1 and ahead < self._size:
            self._wanted.append(plan)
            self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="repodojo-warm", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        """The thread: makes, removes and looks after what is there, until the pool is closed."""
        while True:
            with self._changed:
                if self._closing:
                    return
                plan = doomed = None
                if self._wanted and time.monotonic() >= self._not_before:
                    plan = self._wanted.popleft()
                elif self._doomed:
                    doomed = self._doomed.popleft()
                else:
                    self._changed.wait(self._idle_seconds())
                    self._retire()
            if plan is not None:
                self._create(plan)
            elif doomed is not None and _removed(doomed):
                with self._changed:
                    self._doomed.append(doomed)
                    self._changed.wait(1)  # the daemon is away, or busy with it

    def _create(self, plan: Plan) -> None:
        try:
            made = self._make(plan)
        except SandboxError:  # who asks for one meets the same trouble, and says so
            self._pause = min(max(2 * self._pause, 1.0), PATIENCE_SECONDS)
            made = None
        else:
            self._pause = 0.0
        with self._changed:
            self._not_before = time.monotonic() + max(self._pause, SPACING_SECONDS)
            if made is not None:
                self._idle.append(made)
                self._retire()

    def _retire(self) -> None:
        """Let go of what is beyond the size, too old, or dead."""
        limit = time.monotonic() - AGE_SECONDS
        beyond = self._idle[: max(len(self._idle) - self._size, 0)]
        for container in [*self._idle]:
            if container in beyond or container.born < limit or container.first.is_gone():
                self._idle.remove(container)
                container.end()
                self._doomed.append(container)

    def _idle_seconds(self) -> float | None:
        if self._wanted:
            return max(self._not_before - time.monotonic(), 0.0)
        return _LOOK_SECONDS if self._idle else None


def _removed(container: Container) -> SandboxError | None:
    try:
        container.remove()
    except SandboxError as error:
        return error
    return None


@atexit.register
def _close_all() -> None:
    for pool in list(_live):
        try:
            pool.close()
        except SandboxError:  # the daemon is away
            leave_to_guard()
