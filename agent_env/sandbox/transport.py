"""How bytes travel between the host and the driver of a sandbox's shell: three streams, over pipes or anything else."""

import os
import select
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

CHUNK = 1 << 16
"""Bytes taken at once from a stream."""


class ShellGoneError(Exception):
    """The other end of the streams is closed: the sandbox is dead."""


class Received(NamedTuple):
    """What came in; both streams may be empty."""

    status: bytes
    output: bytes
    closed: bool
    """Whether the driver's end of the status stream is closed: nothing more will come on it."""


class Transport(Protocol):
    """Commands go in, status frames and output come out."""

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of ``data``.

        Args:
            deadline: by ``time.monotonic``.

        Raises:
            ShellGoneError: nobody reads any more.
            TimeoutError: not all was taken in time; the stream is of no use from then on.
        """
        ...

    def receive(self, seconds: float) -> Received:
        """What has come, after at most ``seconds`` where nothing has come yet."""
        ...

    def close(self) -> None:
        """Close the host's ends."""
        ...


@dataclass
class ShellPipes:
    """File descriptors of the host: commands go in, status frames and output come out."""

    command: int
    status: int
    output: int


class PipeTransport:
    """See ``Transport``; takes the descriptors over."""

    def __init__(self, pipes: ShellPipes) -> None:
        self._pipes = pipes
        self._incoming = select.poll()
        self._outgoing = select.poll()
        self._outgoing.register(pipes.command, select.POLLOUT)
        for descriptor in (pipes.command, pipes.status, pipes.output):
            os.set_blocking(descriptor, False)
        self._open = {pipes.status, pipes.output}
        for descriptor in self._open:
            self._incoming.register(descriptor, select.POLLIN)

    def send(self, data: bytes, deadline: float) -> None:
        """See ``Transport.send``."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._pipes.command, rest) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                self._outgoing.poll(left * 1000)
            except BrokenPipeError:
                raise ShellGoneError from None

    def receive(self, seconds: float) -> Received:
        """See ``Transport.receive``."""
        ready = {descriptor for descriptor, _ in self._incoming.poll(seconds * 1000)}
        # The output first: what the status frame speaks of was written before it.
        output = self._read(self._pipes.output) if self._pipes.output in ready else b""
        status = self._read(self._pipes.status) if self._pipes.status in ready else b""
        return Received(status, output, self._pipes.status not in self._open)

    def close(self) -> None:
        """See ``Transport.close``."""
        for descriptor in (self._pipes.command, self._pipes.status, self._pipes.output):
            os.close(descriptor)

    def _read(self, descriptor: int) -> bytes:
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return b""
        if not data:  # every writer is gone: poll would report that for ever
            self._incoming.unregister(descriptor)
            self._open.discard(descriptor)
        return data
