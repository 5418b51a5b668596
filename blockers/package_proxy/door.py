"""One sandbox's way to its index: a unix socket that the host listens on, with limits and a log of its own."""

import contextlib
import io
import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.message import Asked, head, parse_line, read_line
from blockers.package_proxy.page import JSON_PAGE
from blockers.package_proxy.policy import RefusedError
from tasks.record import Record

SEND_SECONDS = 60.0
"""How long one answer may take to be read."""


@dataclass(frozen=True, kw_only=True)
class DoorLimits:
    """What one sandbox may ask of the proxy."""

    requests: int = 2000
    """In all; afterwards connections are closed unread, and no longer logged."""
    per_minute: int = 600
    bytes_sent: int = 1 << 30
    """In all."""
    connections: int = 8
    """At once; more are closed unread."""


class PackageRequest(Record):
    """One request, as the trajectory keeps it."""

    line: str
    """What was asked, cut at 200 characters."""
    status: int
    """Of HTTP; 0 where the client went away."""
    size: int
    """Bytes of the body."""
    reason: str | None = None
    """Why it was refused."""


class Door:
    """See the module. It is open once made, until ``close``.

    Args:
        folder: where the socket is made.
        name: of the socket; who knows it may use it.
    """

    def __init__(self, index: FrozenIndex, folder: Path, name: str, *, limits: DoorLimits | None = None) -> None:
        self._index = index
        self._limits = limits or DoorLimits()
        self._path = folder / name
        self._log: list[PackageRequest] = []
        self._told = 0
        self._recent: deque[float] = deque()
        self._sent = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._owner = os.getpid()
        self._listener = _listen(folder, name)
        self._thread = threading.Thread(target=self._serve, name="repodojo-packages", daemon=True)
        self._thread.start()

    def new_requests(self) -> list[PackageRequest]:
        """The requests that were answered since the last call."""
        with self._lock:
            found = self._log[self._told :]
            self._told = len(self._log)
        return found

    def close(self) -> None:
        """Stop listening and cut what is open. Safe to call twice; of no effect in a forked copy."""
        if self._owner != os.getpid():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            connections = list(self._open)
        for connection in (self._listener, *connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.05)  # no descriptor is free just now
                continue
            with self._lock:
                allowed = len(self._open) < self._limits.connections and len(self._log) < self._limits.requests
                allowed = allowed and not self._closed
                if allowed:
                    self._open.add(connection)
            if allowed:
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        line, status, size, reason = b"", 0, 0, None
        try:
            try:
                line = read_line(connection)
                self._count()
                kind, body = self._body(parse_line(line))
                self._reserve(body)
                status = 200
            except RefusedError as error:
                status, reason = error.status, error.reason
                kind, body = "text/plain", io.BytesIO(f"{reason}\n".encode())
            with body:
                size = self._send(connection, status, kind, body)
        except OSError:  # the client went away, or the door was closed
            status = 0
        finally:
            shown = line[:200].decode("ascii", errors="replace")
            with self._lock:
                self._open.discard(connection)
                self._log.append(PackageRequest(line=shown, status=status, size=size, reason=reason))
            connection.close()  # the last thing: who has the whole answer finds it in the log

    def _body(self, asked: Asked) -> tuple[str, BinaryIO]:
        if asked.filename is None:
            return JSON_PAGE, io.BytesIO(self._index.page(asked.project))
        if asked.metadata:
            return "application/octet-stream", self._index.metadata(asked.project, asked.filename)
        return "application/octet-stream", self._index.wheel(asked.project, asked.filename)

    def _count(self) -> None:
        now = time.monotonic()
        with self._lock:
            while self._recent and self._recent[0] < now - 60:
                self._recent.popleft()
            if len(self._recent) >= self._limits.per_minute:
                raise RefusedError(429, f"more than {self._limits.per_minute} requests in a minute")
            self._recent.append(now)

    def _reserve(self, body: BinaryIO) -> None:
        size = _size(body)
        with self._lock:
            if self._sent + size > self._limits.bytes_sent:
                body.close()
                raise RefusedError(429, f"more than {self._limits.bytes_sent} bytes in one episode")
            self._sent += size

    def _send(self, connection: socket.socket, status: int, kind: str, body: BinaryIO) -> int:
        size = _size(body)
        deadline = time.monotonic() + SEND_SECONDS
        data = head(status, kind, size)
        while data:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.sendall(data)
            data = body.read(1 << 16)
        return size


def _size(body: BinaryIO) -> int:
    """Bytes of a body, which stands at its start again."""
    size = body.seek(0, os.SEEK_END)
    body.seek(0)
    return size


def _listen(folder: Path, name: str) -> socket.socket:
    """A listening socket that any user may connect to who can reach its folder."""
    listener = socket.socket(socket.AF_UNIX)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        # By descriptor: an address holds 107 bytes, and folders may have longer names.
        listener.bind(f"/proc/self/fd/{descriptor}/{name}")
        (folder / name).chmod(0o666)
        listener.listen(64)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(descriptor)
    return listener
