"""The host's side of the process that starts its sandboxes; see ``spawner``."""

import atexit
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from agent_env.errors import SandboxError
from agent_env.sandbox.spawner import Request, receive

_PROGRAM = str(files("agent_env.sandbox").joinpath("spawner.py"))

_START_SECONDS = 20.0
"""How long a start may take to its answer; far more than it takes on a busy machine."""

_ROOM = 256
"""Descriptors that are kept free for others."""

_lock = threading.Lock()


class Spawned(NamedTuple):
    """A sandbox's outermost process, and what of its files the host holds; the descriptors are the caller's."""

    process: int
    """A pidfd."""
    folder: int
    namespace: int | None
    """The mount namespace in which the folder has a mount of its own, if it has one."""


class _Spawner:
    """One running spawner."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", _PROGRAM, str(os.getpid()), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is the host's to answer
            )
        self.socket = ours
        self.may_mount = ours.recv(1) == b"y"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()


_spawners: dict[int, _Spawner] = {}
"""By process id: a forked child has none until it starts its own."""


def may_mount() -> bool:
    """Whether a sandbox's folder can get a memory filesystem of its own, with a quota."""
    return _spawner().may_mount


def spawn(request: Request, descriptors: Sequence[int], namespace: int | None = None) -> Spawned:
    """Start a sandbox.

    Args:
        descriptors: standard input, output and error, and bubblewrap's for information and for blocking.
        namespace: the mount namespace to start it in, for a folder that has its mount there already.

    Raises:
        SandboxError: it was not started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        given = [*descriptors, theirs.fileno(), *([] if namespace is None else [namespace])]
        message = json.dumps(request).encode()
        _send(message, given)
        theirs.close()
        ours.settimeout(_START_SECONDS)
        try:
            answer, held = receive(ours)
        except TimeoutError:
            raise SandboxError(f"no sandbox was started within {_START_SECONDS:.0f} s") from None
    if not held:
        raise SandboxError(f"no sandbox was started: {json.loads(answer)['error'] if answer else 'the spawner died'}")
    _make_room(max(held))
    return Spawned(held[0], held[1], held[2] if held[2:] else None)


def _make_room(highest: int) -> None:
    """Raise this process's limit on descriptors before it is reached: a sandbox takes six."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and highest > soft - _ROOM:
        wanted = soft * 2 if hard == resource.RLIM_INFINITY else min(soft * 2, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _send(message: bytes, descriptors: Sequence[int]) -> None:
    spawner = _spawner()
    try:
        try:
            socket.send_fds(spawner.socket, [message], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            socket.send_fds(_spawner(dead=spawner).socket, [message], descriptors)
    except OSError as error:
        raise SandboxError(f"a sandbox could not be asked for with {len(message)} bytes: {error}") from error


def _spawner(*, dead: _Spawner | None = None) -> _Spawner:
    """This process's spawner; a new one where it has none, or the one it had is ``dead``."""
    with _lock:
        found = _spawners.get(os.getpid())
        if found is not None and found is not dead:
            return found
        if found is not None:
            found.close()
        else:
            atexit.register(_dismiss)
        _spawners[os.getpid()] = _Spawner()
        return _spawners[os.getpid()]


def _dismiss() -> None:
    found = _spawners.pop(os.getpid(), None)
    if found is not None:
        found.close()
