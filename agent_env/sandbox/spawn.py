"""The host's side of the process that starts its sandboxes; see ``spawner``."""

import atexit
import contextlib
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
from agent_env.sandbox.spawner import OPEN_FILES, Request, receive

_PROGRAM = str(files("agent_env.sandbox").joinpath("spawner.py"))

_START_SECONDS = 20.0
"""How long a start may take to its answer; far more than it takes on a busy machine."""

_ROOM = 256
"""Descriptors that are kept free for others."""

_locks: dict[int, threading.Lock] = {}
"""By process id: a child may be forked while another thread holds its parent's."""


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
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            _raise_limit(2 * OPEN_FILES)
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-I", "-S", _PROGRAM, str(os.getpid()), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,  # Ctrl-C is the host's to answer
                )
        except BaseException:
            self.socket.close()
            raise
        try:
            self.may_mount = self._ask()
        except BaseException:
            self.close()
            raise

    def _ask(self) -> bool:
        """Its first word: whether it may mount."""
        self.socket.settimeout(_START_SECONDS)
        said = self.socket.recv(1)
        self.socket.settimeout(None)
        if not said:
            raise OSError(f"it ended at once, with status {self.process.wait()}")
        return said == b"y"

    def is_dead(self) -> bool:
        """Whether it is dead; what it forked dies a moment before that can be seen."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        return self.process.returncode is not None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()


_spawners: dict[int, _Spawner] = {}
"""By process id: a forked child has none until it starts its own."""


def may_mount() -> bool:
    """Whether a sandbox's folder can get a memory filesystem of its own, with a quota.

    Raises:
        SandboxError: the spawner did not start.
    """
    return _spawner().may_mount


def spawn(request: Request, descriptors: Sequence[int], namespace: int | None = None) -> Spawned:
    """Start a sandbox.

    Args:
        descriptors: standard input, output and error, and bubblewrap's for information and for blocking.
        namespace: the mount namespace to start it in, for a folder that has its mount there already.

    Raises:
        SandboxError: it was not started.
    """
    message = json.dumps(request).encode()
    given = (descriptors, () if namespace is None else (namespace,))
    answer, held, spawner = _ask_for(message, *given)
    if not answer and spawner.is_dead():  # killed before it came to it: who would have answered has started nothing
        answer, held, _ = _ask_for(message, *given)
    if answer != b"{}":
        raise SandboxError(f"no sandbox was started: {json.loads(answer)['error'] if answer else 'the spawner died'}")
    if len(held) < (3 if request["quota"] else 2):  # the kernel gives as many as there is room for
        for descriptor in held:  # that our ends of its pipes are closed ends it
            os.close(descriptor)
        raise no_descriptors("too many open files")
    _make_room(max(held))
    return Spawned(held[0], held[1], held[2] if held[2:] else None)


def _ask_for(message: bytes, streams: Sequence[int], more: Sequence[int]) -> tuple[bytes, list[int], _Spawner]:
    """The answer, empty where nobody gave one; its descriptors, and who was asked."""
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise no_descriptors(error) from error
    with ours, theirs:
        spawner = _send(message, [*streams, theirs.fileno(), *more])
        theirs.close()
        ours.settimeout(_START_SECONDS)
        try:
            return *receive(ours), spawner
        except TimeoutError:
            raise SandboxError(f"no sandbox was started within {_START_SECONDS:.0f} s") from None


def no_descriptors(why: object) -> SandboxError:
    """The error for a start for which this process has no descriptors left."""
    return SandboxError(f"no sandbox can be started: {why}; raise the limit on open files (ulimit -n)")


def _make_room(highest: int) -> None:
    """Raise this process's limit on descriptors before it is reached: a sandbox takes six."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and highest > soft - _ROOM:
        _raise_limit(soft * 2)


def _raise_limit(wanted: int) -> None:
    """Raise this process's limit on descriptors, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _send(message: bytes, descriptors: Sequence[int]) -> _Spawner:
    """Send a request to this process's spawner, which comes back."""
    spawner = _spawner()
    try:
        try:
            socket.send_fds(spawner.socket, [message], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            spawner = _spawner(dead=spawner)
            socket.send_fds(spawner.socket, [message], descriptors)
    except OSError as error:
        raise SandboxError(f"a sandbox could not be asked for with {len(message)} bytes: {error}") from error
    return spawner


def _spawner(*, dead: _Spawner | None = None) -> _Spawner:
    """This process's spawner; a new one where it has none, or the one it had is ``dead``."""
    with _locks.setdefault(os.getpid(), threading.Lock()):
        found = _spawners.get(os.getpid())
        if found is not None and found is not dead:
            return found
        if found is not None:
            del _spawners[os.getpid()]
            found.close()
        try:
            started = _spawners[os.getpid()] = _Spawner()
        except OSError as error:
            raise SandboxError(f"the process that starts sandboxes did not start: {error}") from error
        return started


@atexit.register
def _dismiss() -> None:
    found = _spawners.pop(os.getpid(), None)
    if found is not None:
        found.close()
