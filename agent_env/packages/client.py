"""``pip`` inside a sandbox: lends the host's package index to uv for one command. Runs on the sandbox's own Python.

No installer speaks unix sockets, so each connection to a port of the sandbox's loopback is carried to the socket: one
request there, one answer back.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

DOORS = "/opt/packages/doors"
"""Folder of the host's sockets; it cannot be listed."""

UV = "/opt/packages/uv"
ADDRESS_FILE = "~/.package-index.json"
PORT = 8311
TARGET = "~/.packages"
"""Where packages go; it stands on the import path."""

_REFUSAL_BYTES = 2000
"""A refusal is read so far before it is passed on."""

_refusals: "list[str]" = []


def main(arguments: "list[str]") -> int:
    """Run ``uv pip`` with the index; its exit status."""
    try:
        address = json.loads(Path(ADDRESS_FILE).expanduser().read_text())
        door, constraints = f"{DOORS}/{address['socket']}", address["constraints"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"pip: {ADDRESS_FILE} cannot be read ({error}): no packages can be had\n")
        return 1
    listener = _listen()
    threading.Thread(target=_serve, args=(listener, door), daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("\n".join(constraints) + "\n")
        pins.flush()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/simple"
        status = _run([UV, *_translated(arguments, pins.name)], _variables(url))
    if status:
        for reason in dict.fromkeys(_refusals):
            sys.stderr.write(f"pip: {reason}\n")
    return status


def _listen() -> socket.socket:
    """A socket on the same port each time, where it is free: it shows in messages, and those are to repeat."""
    for port in (PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
            return listener
        except OSError:
            listener.close()
    raise SystemExit("pip: no port of the loopback is free")


def _run(command: "list[str]", variables: "dict[str, str]") -> int:
    """Run uv and show what it says, less its timings, which no two runs have in common."""
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(re.sub(rb" in [0-9.]+m?s$", b"", line.rstrip(b"\n")) + b"\n")
            sys.stderr.buffer.flush()
    return process.returncode


def _translated(arguments: "list[str]", pins: str) -> "list[str]":
    """The arguments as uv takes them; the built environment is read-only, so packages go to the home directory."""
    words = [word for word in arguments if word not in ("--user", "--no-input", "--disable-pip-version-check")]
    if words[:1] in (["--version"], ["-V"]):
        return ["--version"]
    if words[:1] != ["install"]:
        return ["pip", *words]
    return ["pip", "install", "--target", str(Path(TARGET).expanduser()), "--constraint", pins, *words[1:]]


def _variables(url: str) -> "dict[str, str]":
    return {
        **os.environ,
        "UV_DEFAULT_INDEX": url,
        "UV_PYTHON": os.environ.get("VIRTUAL_ENV", "/opt/env") + "/bin/python",
        "UV_NO_BUILD": "1",
        "UV_NO_CACHE": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "0",
        "UV_CONCURRENT_DOWNLOADS": "4",
        "TOKIO_WORKER_THREADS": "2",
        "RAYON_NUM_THREADS": "2",
    }


def _serve(listener: socket.socket, door: str) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_carry, args=(connection, door), daemon=True).start()


def _carry(connection: socket.socket, door: str) -> None:
    """One exchange; the answer ends with the connection."""
    with connection, socket.socket(socket.AF_UNIX) as host:
        try:
            host.connect(door)
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(4096)
                if not part:
                    return
                head += part
            host.sendall(head)
            _pass_on(host, connection)
        except OSError as error:
            _refusals.append(f"the package index is not there: {error}")


def _pass_on(host: socket.socket, connection: socket.socket) -> None:
    """Carry the answer. The reason of a refusal, which uv does not show, is kept first: uv may end once it has it."""
    begin = host.recv(1 << 16)
    if begin[9:10] in (b"4", b"5") and begin[9:12] != b"405":  # uv tries HEAD first, and does without
        while len(begin) < _REFUSAL_BYTES and (part := host.recv(_REFUSAL_BYTES)):
            begin += part
        _refusals.append(begin.partition(b"\r\n\r\n")[2][:300].decode(errors="replace").strip())
    connection.sendall(begin)
    while part := host.recv(1 << 16):
        connection.sendall(part)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
