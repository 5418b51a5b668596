"""The shell's three streams over one socket: what Docker Engine gives to whoever attaches to a container.

Bytes that are sent go to the standard input. What comes back is in blocks: a byte that names the stream (1 standard
output, 2 standard error), three zero bytes, the length as four bytes, most significant first, then the content
(Docker Engine API, ContainerAttach).
"""

import select
import socket
import time
from typing import Protocol

from agent_env.sandbox.transport import CHUNK, Received, ShellGoneError

_HEADER = 8


class _Closable(Protocol):
    def close(self) -> None: ...


class AttachTransport:
    """See ``Transport``: status frames are the container's standard output, command output its standard error.

    Args:
        connection: the attached socket; taken over.
        holder: the response that the socket came with; closed before it.
    """

    def __init__(self, connection: socket.socket, holder: _Closable) -> None:
        self._socket = connection
        self._holder = holder
        self._held = b""
        self._closed = False
        connection.setblocking(False)
        self._incoming = select.poll()
        self._incoming.register(connection, select.POLLIN)
        self._outgoing = select.poll()
        self._outgoing.register(connection, select.POLLOUT)

    def send(self, data: bytes, deadline: float) -> None:
        """See ``Transport.send``."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                self._outgoing.poll(left * 1000)
            except OSError as error:
                raise ShellGoneError from error

    def finish(self) -> None:
        """Close the standard input; what comes back is still received."""
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self, seconds: float) -> Received:
        """See ``Transport.receive``."""
        if self._closed or not self._incoming.poll(seconds * 1000):
            return Received(b"", b"", self._closed)
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return Received(b"", b"", False)
        except OSError:
            data = b""
        self._closed = not data
        status, output = self._split(data)
        return Received(status, output, self._closed)

    def close(self) -> None:
        """See ``Transport.close``."""
        self._holder.close()
        self._socket.close()

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """The whole blocks that have come, by stream; the rest is held."""
        streams: dict[int, list[bytes]] = {1: [], 2: []}
        data = self._held + data
        begin = 0
        while len(data) - begin >= _HEADER:
            end = begin + _HEADER + int.from_bytes(data[begin + 4 : begin + _HEADER])
            if end > len(data):
                break
            streams.setdefault(data[begin], []).append(data[begin + _HEADER : end])
            begin = end
        self._held = data[begin:]
        return b"".join(streams[1]), b"".join(streams[2])
