"""HTTP as far as an installer needs it: one GET a connection, three forms of path, no body, no header that counts.

Whatever is not exactly that is refused, so there is nothing to disagree about: no second request on a connection, no
lengths, no encodings, no escapes, no addresses of other hosts.
"""

import re
import socket
import time
from http import HTTPStatus
from typing import NamedTuple

from blockers.package_proxy.page import WHEEL_NAME
from blockers.package_proxy.policy import RefusedError

MAX_HEAD_BYTES = 8192
HEAD_SECONDS = 10.0
"""How long a request may take to come."""

_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~]{1,1000}) HTTP/1\.[01]")
_PAGE = re.compile(r"/simple/([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,98}[A-Za-z0-9])/?")
_FILE = re.compile(r"/files/([a-z0-9]|[a-z0-9][a-z0-9-]{0,98}[a-z0-9])/(.+?)(\.metadata)?")


class Asked(NamedTuple):
    """What a request is for."""

    project: str
    filename: str | None = None
    """None for the project's page."""
    metadata: bool = False
    """Whether the metadata of that file is meant."""


def read_line(connection: socket.socket) -> bytes:
    """The first line of a request; all its head is read.

    Raises:
        RefusedError: it is too long, too slow, or not whole.
    """
    deadline = time.monotonic() + HEAD_SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RefusedError(408, "the request took too long to come")
        connection.settimeout(left)
        try:
            part = connection.recv(4096)
        except TimeoutError:
            continue
        if not part:
            raise RefusedError(400, "the request is not whole")
        head += part
        if len(head) > MAX_HEAD_BYTES:
            raise RefusedError(431, f"the head of the request is longer than {MAX_HEAD_BYTES} bytes")
    return head.split(b"\r\n", 1)[0]


def parse_line(line: bytes) -> Asked:
    """What the first line asks for.

    Raises:
        RefusedError: nothing that is served.
    """
    found = _LINE.fullmatch(line)
    if not found:
        raise RefusedError(400, "that is no request of HTTP/1.1")
    if found[1] != b"GET":
        raise RefusedError(405, "only GET is served")
    path = found[2].decode("ascii")
    if page := _PAGE.fullmatch(path):
        return Asked(page[1])
    file = _FILE.fullmatch(path)
    if file and WHEEL_NAME.fullmatch(file[2]):
        return Asked(file[1], file[2], metadata=bool(file[3]))
    raise RefusedError(404, "expected /simple/PROJECT/ or /files/PROJECT/FILE.whl")


def head(status: int, kind: str, size: int) -> bytes:
    """The head of an answer.

    Args:
        kind: media type of the body.
        size: bytes of the body.
    """
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {size}",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
