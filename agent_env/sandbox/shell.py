"""The host's end of the persistent shell: frames on three pipes, no process and no copy per command.

The protocol is described in ``driver.sh``. A command is over when its status frame and the mark at the end of its
output have both come: backends that carry the two streams apart may deliver them in either order.
"""

import os
import select
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from agent_env.sandbox.output import BoundedOutput

DRIVER = files("agent_env.sandbox").joinpath("driver.sh").read_text()
"""The script that runs inside the sandbox, given to ``bash -c``."""

MARK_VARIABLE = "REPODOJO_MARK"
"""Environment variable of the driver that holds the end-of-output mark."""

_CHUNK = 1 << 16


class ShellGoneError(Exception):
    """The other end of the pipes is closed: the sandbox is dead."""


class Frame(NamedTuple):
    """What the driver says: ``r`` (ready, a pid), ``d`` (done, an exit status) or ``x`` (shell ended, a status)."""

    kind: str
    value: int


@dataclass
class ShellPipes:
    """File descriptors of the host: commands go in, status frames and output come out."""

    command: int
    status: int
    output: int

    def close(self) -> None:
        """Close all three."""
        for descriptor in (self.command, self.status, self.output):
            os.close(descriptor)


class Shell:
    """Speaks to one driver. Not safe for two threads at once.

    Args:
        pipes: the host's ends; closed by ``close``.
        mark: the driver's end-of-output mark, in its environment as ``REPODOJO_MARK``.
    """

    def __init__(self, pipes: ShellPipes, mark: str) -> None:
        self._pipes = pipes
        self._end = b"\0" + mark.encode() + b"\0"
        self._held = b""
        """Status bytes that do not make a whole frame yet."""
        self._frames: list[Frame] = []
        self._window = b""
        """The last output bytes, which may be the beginning of a mark."""
        self._marks = 0
        self._output_open = True
        self._poll = select.poll()
        for descriptor in (pipes.status, pipes.output):
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN)

    def send(self, command: str, cwd: str | None) -> None:
        """Send one command.

        Raises:
            ShellGoneError: nobody reads any more.
            ValueError: the command holds a NUL byte, which no shell can take.
        """
        if "\0" in command or "\0" in (cwd or ""):
            raise ValueError("a command must not hold a NUL byte")
        data = memoryview(b"%s\0%s\0" % ((cwd or "").encode(), command.encode(errors="surrogateescape")))
        try:
            while data:
                data = data[os.write(self._pipes.command, data) :]
        except BrokenPipeError:
            raise ShellGoneError from None

    def wait(self, output: BoundedOutput, deadline: float, *, marks: int = 0) -> Frame | None:
        """Collect output until a frame and ``marks`` end-of-output marks have come; None if ``deadline`` came first.

        Args:
            deadline: by ``time.monotonic``.

        Raises:
            ShellGoneError: the driver is dead.
        """
        while not self._frames or (self._frames[0].kind == "d" and self._marks < marks):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for descriptor, _ in self._poll.poll(left * 1000):
                self._take(descriptor, output)
        self._marks = 0
        return self._frames.pop(0)

    def drain(self, output: BoundedOutput) -> None:
        """Collect what output has come already."""
        while self._read_output(output):
            pass
        if self._window:
            output.add(self._window)
            self._window = b""

    def close(self) -> None:
        """Close the pipes."""
        self._pipes.close()

    def _take(self, descriptor: int, output: BoundedOutput) -> None:
        if descriptor == self._pipes.output:
            self._read_output(output)
            return
        data = _read(descriptor)
        if data == b"":
            raise ShellGoneError
        *whole, self._held = (self._held + (data or b"")).split(b"\0")
        for frame in whole:
            kind, _, value = frame.partition(b" ")
            self._frames.append(Frame(kind.decode(), int(value)))

    def _read_output(self, output: BoundedOutput) -> bool:
        """Read once; False where nothing came."""
        data = _read(self._pipes.output)
        if data == b"" and self._output_open:  # every writer is gone: poll would report that for ever
            self._poll.unregister(self._pipes.output)
            self._output_open = False
        if not data:
            return False
        data = self._window + data
        while (found := data.find(self._end)) >= 0:
            output.add(data[:found])
            data = data[found + len(self._end) :]
            self._marks += 1
        keep = _overlap(data, self._end)
        output.add(data[: len(data) - keep])
        self._window = data[len(data) - keep :]
        return True


def _read(descriptor: int) -> bytes | None:
    """Bytes that are there, empty at the end of the pipe, None where nothing has come yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None


def _overlap(data: bytes, mark: bytes) -> int:
    """Length of the longest end of ``data`` that begins ``mark``."""
    for size in range(min(len(mark) - 1, len(data)), 0, -1):
        if data.endswith(mark[:size]):
            return size
    return 0
