"""Ends a process tree that grows faster than the looks at a command can see to, or between two commands.

Only where the kernel limits the number of processes in no way: without a control group, for root.
"""

import threading

from agent_env.errors import SandboxError
from agent_env.sandbox.processes import FirstProcess, outnumber

_SECONDS = 0.1
"""Between two counts."""


class Headcount:
    """Kills a whole tree once it has more than ``most`` processes and threads; ends when the tree is dead.

    Args:
        pid: the first process of the tree's namespace.

    Raises:
        SandboxError: no thread can be started.
    """

    def __init__(self, pid: int, most: int) -> None:
        self.has_killed = False
        self._most = most
        self._first = FirstProcess(pid)  # of its own: the owner's may be let go of at any moment
        try:
            threading.Thread(target=self._count, name="headcount", daemon=True).start()
        except RuntimeError as error:
            self._first.close()
            raise SandboxError(f"this process can have no more threads: {error}") from error

    def _count(self) -> None:
        while not self._first.wait(_SECONDS):
            if outnumber(self._first.pid, self._most):
                self.has_killed = True
                self._first.kill()
        self._first.close()
