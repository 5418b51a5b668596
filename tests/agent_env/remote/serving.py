"""A server of the tests, and clients that speak to it byte by byte."""

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import ClientConnection, connect

from agent_env.env import SWEEnv
from agent_env.sandbox.residence import residence_base

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

SESSIONS = 16
"""That the server of a module allows."""

KEY = "a key that is no key".replace(" ", "-")


@contextlib.contextmanager
def serving(env: SWEEnv, **options: Any) -> "Iterator[EnvServer]":
    from agent_env.remote.server import EnvServer, ServeOptions

    server = EnvServer(env, ServeOptions(**{"port": 0, "api_key": KEY, **options}))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        until(lambda: server.is_ready)
        yield server
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def until(met: Callable[[], bool]) -> None:
    """Wait for something that must come; the deadline is far beyond what it takes."""
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def residences() -> set[Path]:
    """The folders of this process's sandboxes."""
    return set(residence_base().glob(f"{os.getpid()}-*/*"))  # not by iterdir: a folder may go meanwhile


_others: set[Path] = set()
"""Those of other modules' tests."""


def leave_out_others() -> None:
    """Count no sandbox that stands now."""
    _others.update(residences())


def sandboxes() -> int:
    """How many sandboxes the tests of the running module have."""
    return len(residences() - _others)


def is_running(command: str) -> bool:
    """Whether some process of this machine has that command line."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == wanted:
                return True
    return False


def ask(socket: ClientConnection, message: object) -> dict[str, Any]:
    socket.send(json.dumps(message))
    reply: dict[str, Any] = json.loads(socket.recv(30))
    return reply


def raw(server: "EnvServer", *, key: str | None = KEY, **options: Any) -> connect:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = server.url.replace("http", "ws") + options.pop("path", "/ws")
    return connect(url, additional_headers=headers | options.pop("headers", {}), proxy=None, **options)


def get(
    server: "EnvServer", path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and body of a plain request, with the key unless ``headers`` are given."""
    given = {"Authorization": f"Bearer {KEY}"} if headers is None else headers
    request = urllib.request.Request(server.url + path, method=method, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
