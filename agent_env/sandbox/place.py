"""Where a sandbox's files lie, and how the host holds them."""

import contextlib
import os
from pathlib import Path

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Limits
from agent_env.sandbox.residence import remove_tree

_RESERVE = "reserve"


def quota_options(limits: Limits) -> str:
    """Options of a memory filesystem with a quota (Linux, filesystems/tmpfs.rst), with room for the reserve and our own
    folders."""
    return f"size={limits.disk_bytes + (1 << 16)},nr_inodes={limits.inodes + 64},mode=700"


class Place:
    """Where a sandbox's files lie: a plain folder of the host, or a memory filesystem that is mounted on it in a mount
    namespace which the host holds by descriptor, and which is gone with it.
    """

    def __init__(self, folder: Path, quota: str) -> None:
        self.folder = folder
        self.quota = quota
        self.namespace: int | None = None
        self._descriptor: int | None = None

    @property
    def files(self) -> Path:
        """The folder as the host reaches it, in whatever namespace it has its mount."""
        # Not /proc/self: programs that the host starts reach it too.
        return self.folder if self._descriptor is None else Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")

    def make(self) -> None:
        """Make the folder, where it is not there yet.

        Raises:
            SandboxError: it cannot be made.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SandboxError(f"a sandbox's files find no place: {error}") from error

    def hold(self, descriptor: int, namespace: int | None) -> None:
        """Take the descriptors that a start gave."""
        self._let_go()
        self._descriptor, self.namespace = descriptor, namespace

    def keep_reserve(self) -> None:
        """Set space aside that nobody inside can take, for the mount of another overlay on files that fill all."""
        if self.namespace is None:
            return
        with contextlib.suppress(OSError), (self.files / _RESERVE).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 1 << 16)
            os.setxattr(file.fileno(), "user.reserve", bytes(1 << 15))  # counts as so many KiB of inodes

    def free_reserve(self) -> None:
        """Give it back."""
        (self.files / _RESERVE).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the files."""
        self._let_go()
        remove_tree(self.folder)

    def _let_go(self) -> None:
        for descriptor in (self._descriptor, self.namespace):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self.namespace = None
