"""The host's end of the persistent shell: frames over a transport, no process and no copy per command.

The protocol is described in ``driver.sh``. A command is over when its status frame and the mark at the end of its
output have both come: a transport may deliver the two streams in either order. Both bear the command's number, so that
what a command of before still says is never taken for the answer to this one.
"""

import time
from importlib.resources import files
from typing import NamedTuple

from agent_env.sandbox.output import BoundedOutput
from agent_env.sandbox.transport import ShellGoneError, Transport

DRIVER = files("agent_env.sandbox").joinpath("driver.sh").read_text()
"""The script that runs inside the sandbox."""

TOLD = "builtin unset OLDPWD\n"
"""How that script ends: what is cut short does not."""

TELL_SHELL = (
    "builtin printf 'builtin cd -- %q\\n' \"$PWD\"; builtin export -p; builtin printf %s 'builtin unset OLDPWD\n'"
)
"""A command that prints a script which brings the shell's directory and exported variables back."""

_MARK_ROOM = 24
"""A mark's number and its end are never longer than this."""


_FRAME_ROOM = 64
"""A frame is never longer than this; what is longer was not written by the driver."""


class Frame(NamedTuple):
    """What the driver says: ``r`` (ready, a pid), ``d`` (done, an exit status) or ``x`` (shell ended, a status)."""

    kind: str
    value: int
    number: int = 0
    """Which command is done."""


def driver_command(mark: str, *, prologue: str = "") -> list[str]:
    """The command line of the driver.

    Args:
        mark: what ends each command's output; a secret, so that no command prints it by chance.
        prologue: a script for bash to run before; without one the driver runs in sh, which starts faster.
    """
    shell = "/bin/bash" if prologue else "/bin/sh"
    return [shell, "-c", prologue + DRIVER, "sh", mark]


def is_whole(told: str, room: int) -> bool:
    """Whether what ``TELL_SHELL`` printed is all of it.

    Args:
        room: bytes beyond which output is cut.
    """
    return told.endswith(TOLD) and len(told.encode()) <= room


class Shell:
    """Speaks to one driver. Not safe for two threads at once.

    Args:
        transport: closed by ``close``.
        mark: what the driver was given.
    """

    def __init__(self, transport: Transport, mark: str) -> None:
        self._transport = transport
        self._mark = b"\0%s " % mark.encode()
        self._held = b""
        """Status bytes that do not make a whole frame yet."""
        self._frames: list[Frame] = []
        self._window = b""
        """The last output bytes, which may be the beginning of a mark."""
        self._number = 0
        self._marked = 0
        """Number of the last command whose output is complete."""
        self._closed = False

    def send(self, command: str, cwd: str | None, deadline: float) -> None:
        """Send one command.

        Raises:
            ValueError: the command holds a NUL byte, which no shell can take.
            ShellGoneError, TimeoutError: as for ``Transport.send``.
        """
        if "\0" in command or "\0" in (cwd or ""):
            raise ValueError("a command must not hold a NUL byte")
        self._number += 1
        parts = (str(self._number), cwd or "", command)
        self._transport.send(b"".join(part.encode(errors="surrogateescape") + b"\0" for part in parts), deadline)

    def wait(self, output: BoundedOutput, deadline: float) -> Frame | None:
        """Collect output until the sent command is done, or the shell ended or is ready; None if ``deadline`` came.

        Args:
            deadline: by ``time.monotonic``.

        Raises:
            ShellGoneError: the driver is dead.
        """
        while True:
            frame = self._next_frame()
            if frame:
                return frame
            if self._closed:
                raise ShellGoneError
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._receive(left, output)

    def poll(self, output: BoundedOutput) -> Frame | None:
        """A frame that has come already, if any."""
        frame = self._next_frame()
        if frame is None:  # else they would be hoarded where somebody inside writes one after the other
            self._receive(0, output)
            frame = self._next_frame()
        return frame

    def drain(self, output: BoundedOutput) -> None:
        """Collect what output has come already."""
        while self._receive(0, output):
            pass
        output.add(self._window)
        self._window = b""

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _next_frame(self) -> Frame | None:
        while self._frames:
            frame = self._frames[0]
            if frame.kind == "d" and frame.number == self._number and self._marked < self._number:
                return None  # its output is still on the way
            self._frames.pop(0)
            if frame.kind != "d" or frame.number == self._number:
                return frame
        return None

    def _receive(self, seconds: float, output: BoundedOutput) -> bool:
        """Take what comes; False where no output came."""
        status, data, self._closed = self._transport.receive(seconds)
        *whole, self._held = (self._held + status).split(b"\0")
        self._held = self._held[-_FRAME_ROOM:]
        self._frames += [frame for frame in map(_parse, whole) if frame]
        if data:
            self._window = self._sift(self._window + data, output)
        return bool(data)

    def _sift(self, data: bytes, output: BoundedOutput) -> bytes:
        """Hand output on and take the marks out of it; returns the end that may yet become a mark."""
        while (found := data.find(self._mark)) >= 0:
            begin = found + len(self._mark)
            end = data.find(b"\0", begin, begin + _MARK_ROOM)
            if end < 0 and len(data) < begin + _MARK_ROOM:
                break
            output.add(data[:found])
            if end >= 0 and data[begin:end].isdigit():
                self._marked = max(self._marked, int(data[begin:end]))
                data = data[end + 1 :]
            else:
                output.add(self._mark)
                data = data[begin:]
        keep = len(data) - found if found >= 0 else _overlap(data, self._mark)
        output.add(data[: len(data) - keep])
        return data[len(data) - keep :]


def _parse(text: bytes) -> Frame | None:
    """A frame, or None: code inside that found the stream may have written anything on it."""
    kind, *values = text[:_FRAME_ROOM].split(b" ")
    if not values or not all(value.isdigit() for value in values):
        return None
    return Frame(kind.decode(errors="replace"), int(values[-1]), int(values[0]))


def _overlap(data: bytes, mark: bytes) -> int:
    """Length of the longest end of ``data`` that begins ``mark``."""
    for size in range(min(len(mark) - 1, len(data)), 0, -1):
        if data.endswith(mark[:size]):
            return size
    return 0
