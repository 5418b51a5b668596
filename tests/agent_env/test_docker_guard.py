"""The process that removes what a killed host process left with the daemon: whatever moment it was killed at."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.docker.client import OWNER_LABEL, docker_client
from agent_env.sandbox.docker.mounts import may_mount

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.docker, pytest.mark.slow]

_CREATES = """
import sys
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.docker import DockerBackend
DockerBackend(warm=int(sys.argv[2])).create(SandboxSpec(layers=(Path(sys.argv[1]),)))
print("made", flush=True)
"""

_LATE_GUARD = """
import os, signal, sys
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.docker import backend
guard, backend.ensure_guard = backend.ensure_guard, lambda: None
box = backend.DockerBackend(warm=0).create(SandboxSpec(layers=(Path(sys.argv[1]),)))
guard()
os.kill(os.getpid(), signal.SIGKILL)
"""

_DAEMON_GOES = """
import os, sys
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.docker import DockerBackend
backend = DockerBackend()
box = backend.create(SandboxSpec(layers=(Path(sys.argv[1]),)))
print("made", flush=True)
sys.stdin.readline()
if sys.argv[2] == "close":
    box.close()
"""


class Gate:
    """A socket in front of the daemon's: can be shut for a request, and for all connections."""

    def __init__(self, path: Path, daemon: str, held: bytes = b"") -> None:
        self.path = path
        self._daemon = daemon
        self._held = held
        """What a request that is held back begins with; none where empty."""
        self.came, self.open = threading.Event(), threading.Event()
        self._closed = False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self.open.set()
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._daemon)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(1 << 16)
                    except OSError:
                        return
                    if source is client and self._held and data.startswith(self._held):
                        self.came.set()
                        assert self.open.wait(60)
                        self._held = b""
                    if not data and source is client:
                        time.sleep(3)  # the daemon goes on with what it was asked for
                        return
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


@pytest.fixture(scope="module")
def daemon() -> str:
    """The address of the daemon's socket."""
    try:
        docker_client()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def left_of(owner: int) -> list[str]:
    """The containers and volumes of a process."""
    api = docker_client().api
    containers = api.containers(all=True, filters={"label": OWNER_LABEL})
    volumes = api.volumes(filters={"label": OWNER_LABEL})["Volumes"] or []
    return [one["Id"] for one in containers if one["Labels"][OWNER_LABEL].startswith(f"{owner}-")] + [
        one["Name"] for one in volumes if one["Labels"][OWNER_LABEL].startswith(f"{owner}-")
    ]


def await_true(condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def host_process(program: str, *arguments: object, gate: Gate | None = None) -> "subprocess.Popen[str]":
    variables = {**os.environ, **({"DOCKER_HOST": f"unix://{gate.path}"} if gate else {})}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=ROOT, env=variables, **pipes)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def gates(tmp_path: Path, daemon: str) -> Iterator[Callable[..., Gate]]:
    made: list[Gate] = []

    def make(held: bytes = b"") -> Gate:
        made.append(Gate(tmp_path / "docker.sock", daemon, held))
        return made[-1]

    yield make
    for gate in made:
        gate.close()


def test_a_container_that_is_made_after_the_death_of_who_asked_is_removed(
    tree: Path, gates: Callable[..., Gate]
) -> None:
    gate = gates(f"POST /v{docker_client().api._version}/containers/create".encode())
    with host_process(_CREATES, tree, 0, gate=gate) as host:
        assert gate.came.wait(60)
        host.send_signal(signal.SIGKILL)
        host.wait(30)
        time.sleep(3)  # the guard has looked by now, and found nothing
        assert not left_of(host.pid)
        gate.open.set()
        await_true(lambda: left_of(host.pid))
        await_true(lambda: not left_of(host.pid))


def test_a_host_that_dies_before_its_guard_could_hold_it_is_mourned_all_the_same(tree: Path, daemon: str) -> None:
    with host_process(_LATE_GUARD, tree) as host:
        assert host.wait(60) == -signal.SIGKILL
        await_true(lambda: not left_of(host.pid))


@pytest.mark.parametrize("how", ["close", "forget", "kill"])
def test_what_cannot_be_removed_while_the_daemon_is_away_goes_when_it_is_back(
    tree: Path, gates: Callable[..., Gate], how: str
) -> None:
    gate = gates()
    with host_process(_DAEMON_GOES, tree, how, gate=gate) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        assert host.stdout.readline() == "made\n"
        assert len(left_of(host.pid)) >= 1
        gate.close()
        if how == "kill":
            host.kill()
        else:
            host.stdin.write("\n")
            host.stdin.flush()
        assert host.wait(60) == (-signal.SIGKILL if how == "kill" else 0)
        assert len(left_of(host.pid)) >= 1
        gates()
        await_true(lambda: not left_of(host.pid))


@pytest.mark.skipif(not may_mount(), reason="containers are only started ahead by root")
def test_an_orderly_end_leaves_no_guard(tree: Path, daemon: str) -> None:
    with host_process(_CREATES, tree, 2) as host:
        assert host.wait(60) == 0
    assert not left_of(host.pid)
    guards = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _is_guard_of(path, host.pid)]
    assert guards == []


def _is_guard_of(command: Path, host: int) -> bool:
    try:
        parts = command.read_bytes().split(b"\0")
    except OSError:
        return False
    return any(b"reap_after_death" in part for part in parts) and str(host).encode() in parts
