"""What is looked at while a command runs: its time, its silence; where the kernel does not, files, memory and
processes."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from agent_env.sandbox.base import Limits, StopCause
from agent_env.sandbox.output import BoundedOutput

LOOK_SECONDS = 0.5
"""Between two looks at the files, at least."""

SHARE = 20
"""A look may take one part in so many of the time."""


class Quota:
    """Limits on files where the kernel does not hold them: what they take is added up now and then, so a command may go
    beyond them for a moment.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last = (0, 0)

    def is_exceeded(self, files: Path) -> bool:
        """Whether the files take more than they may, and no less than when this was asked last: a command that removes
        some may go on.
        """
        now = (_count(files, "-k"), _count(files, "--inodes"))
        last, self._last = self._last, now
        limits = (self._limits.disk_bytes >> 10, self._limits.inodes)
        return any(used > limit and used >= before for used, limit, before in zip(now, limits, last, strict=True))


def _count(files: Path, what: str) -> int:
    # By the system's ``du``: a tree may be deeper than a path, or a stack of Python's, can be.
    folders = [str(files / name) for name in ("upper", "tmp", "home")]
    done = subprocess.run(["du", "-sc", what, "--", *folders], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return int(lines[-1].split()[0]) if lines else 0


def memory_of(pids: set[int]) -> int:
    """Bytes of memory that processes take, what they share counted once (proc_pid_smaps_rollup(5)); without files."""
    return sum(map(_memory_of, pids))


def _memory_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        # Any of its threads tells of them all, but for one that is dead, as the first alone may be.
        for thread in sorted(Path(f"/proc/{pid}/task").iterdir()):
            with contextlib.suppress(OSError, ValueError):
                for line in (thread / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss_Anon:"):
                        return int(line.split()[1]) << 10
    return 0


class Watch:
    """Rules for one command.

    Args:
        deadline: by ``time.monotonic``.
        silence: seconds in which something must be printed; any number where None.
        quota: None where the kernel has one.
        files: what it is on.
        beyond: which limit all processes together are beyond, if any; None where the kernel sees to it.
    """

    def __init__(
        self,
        *,
        deadline: float,
        silence: float | None,
        quota: Quota | None,
        files: Path,
        beyond: Callable[[], StopCause | None] | None,
    ) -> None:
        self.deadline = deadline
        self._silence = silence
        self._quota = quota
        self._files = files
        self._beyond = beyond
        self._look_at = time.monotonic() + LOOK_SECONDS

    def next_look(self, output: BoundedOutput) -> float:
        """When to look next, by ``time.monotonic``."""
        times = [self.deadline]
        if self._silence is not None:
            times.append(output.touched + self._silence)
        if self._quota or self._beyond:
            times.append(self._look_at)
        return min(times)

    def look(self, output: BoundedOutput) -> StopCause | None:
        """Why the command must be ended now, if it must."""
        now = time.monotonic()
        if now >= self.deadline:
            return StopCause.TIMEOUT
        if self._silence is not None and now >= output.touched + self._silence:
            return StopCause.NO_OUTPUT
        if now >= self._look_at:
            if self._beyond and (cause := self._beyond()):
                return cause
            if self._quota and self._quota.is_exceeded(self._files):
                return StopCause.DISK_FULL
            took = time.monotonic() - now
            self._look_at = now + max(LOOK_SECONDS, SHARE * took)
        return None


def is_full(files: Path) -> bool:
    """Whether a memory filesystem of a sandbox's own has no space left."""
    status = os.statvfs(files)
    return status.f_bavail == 0 or status.f_ffree == 0
