"""A client of the frozen index over its unix socket, byte by byte."""

import json
import socket
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blockers.package_proxy.policy import make_policy

SOURCE = "def solve():\n    return 'the answer'\n" * 20
POLICY = make_policy(
    until=datetime(2025, 1, 1, tzinfo=UTC),
    projects={"Py_Tiny"},
    modules={"tiny"},
    files={(zlib.crc32(SOURCE.encode()), len(SOURCE)), (zlib.crc32(b""), 0)},
)


def exchange(folder: Path, request: bytes, *, finish: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes; (0, what came) where it is no answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(folder / "door"))
        try:
            client.sendall(request)
            if finish:
                client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head[9:12]), body) if head.startswith(b"HTTP/1.1 ") else (0, answer)


def get(folder: Path, path: str) -> tuple[int, bytes]:
    return exchange(folder, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def page(folder: Path, name: str) -> dict[str, Any]:
    status, body = get(folder, f"/simple/{name}/")
    assert status == 200, body
    return dict(json.loads(body))


def names(folder: Path, name: str) -> list[str]:
    return [entry["filename"] for entry in page(folder, name)["files"]]
