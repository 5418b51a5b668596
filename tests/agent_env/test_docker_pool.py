"""Containers started ahead: what is handed out lives, is new, and is of the right kind; what is not used goes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent_env.errors import BackendUnavailableError, SandboxError
from agent_env.interpreter import find_interpreter
from agent_env.sandbox.base import Limits, Mount, SandboxSpec
from agent_env.sandbox.docker import DockerBackend, pool
from agent_env.sandbox.docker.client import OWNER_LABEL, docker_client
from agent_env.sandbox.docker.container import Container
from agent_env.sandbox.docker.mounts import may_mount
from agent_env.sandbox.docker.plan import Plan, make_plan
from agent_env.sandbox.docker.pool import WarmPool
from agent_env.sandbox.docker.sandbox import DockerSandbox

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def await_true(condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def containers(owner: int) -> list[str]:
    """The containers that belong to a process of this machine."""
    found = docker_client().api.containers(all=True, filters={"label": OWNER_LABEL})
    return [one["Id"] for one in found if one["Labels"][OWNER_LABEL].startswith(f"{owner}-")]


@pytest.fixture(scope="module")
def daemon() -> None:
    try:
        docker_client()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    if not may_mount():
        pytest.skip("only root may mount")


@pytest.fixture
def backend(daemon: None) -> Iterator[DockerBackend]:
    backend = DockerBackend()
    yield backend
    backend.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_text("one\n")
    return tree


def pool_of(backend: DockerBackend) -> WarmPool:
    pool = backend._pool()
    assert pool is not None
    return pool


def asked_twice(backend: DockerBackend, spec: SandboxSpec) -> DockerSandbox:
    """A sandbox whose next reset finds a container ready."""
    box = backend.create(spec)
    box.reset()
    await_true(lambda: len(pool_of(backend)) == 1)
    return box


def container_of(box: DockerSandbox) -> Container:
    assert box._container is not None
    return box._container


def test_what_is_asked_for_once_is_not_kept(backend: DockerBackend, tree: Path) -> None:
    before = containers(os.getpid())
    backend.create(SandboxSpec(layers=(tree,))).close()
    assert len(pool_of(backend)) == 0
    # Another test's pool of this process may still have been at making one.
    await_true(lambda: set(containers(os.getpid())) <= set(before))


def test_a_reset_takes_a_container_that_was_ready_and_never_one_that_served(backend: DockerBackend, tree: Path) -> None:
    box = asked_twice(backend, SandboxSpec(layers=(tree,)))
    ready = pool_of(backend)._idle[0]
    served = container_of(box)
    box.reset()
    assert container_of(box) is ready
    assert box.run("cat a", timeout=5).output == "one\n"
    await_true(lambda: served._id not in containers(os.getpid()))
    box.close()


def test_another_tree_takes_the_same_container(backend: DockerBackend, tree: Path, tmp_path: Path) -> None:
    box = asked_twice(backend, SandboxSpec(layers=(tree,)))
    ready = pool_of(backend)._idle[0]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b").write_text("two\n")
    other = backend.create(SandboxSpec(layers=(tree, tmp_path / "other")))
    assert container_of(other) is ready
    assert other.run("cat a b; pwd", timeout=5).output == "one\ntwo\n/testbed\n"
    assert other.changes() == {}
    for one in (box, other):
        one.close()


@pytest.mark.parametrize("what", ["limits", "variables", "mounts"])
def test_another_environment_does_not(backend: DockerBackend, tree: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "m").mkdir()
    mount = (Mount(source=tmp_path / "m", target="/opt/m"),)
    box = asked_twice(backend, SandboxSpec(layers=(tree,), mounts=mount))
    spec = {
        "limits": SandboxSpec(layers=(tree,), mounts=mount, limits=Limits(processes=99)),
        "variables": SandboxSpec(layers=(tree,), mounts=mount, variables={"A": "1"}),
        "mounts": SandboxSpec(layers=(tree,), mounts=mount),
    }[what]
    if what == "mounts":  # rebuilt under the same name
        (tmp_path / "m").rename(tmp_path / "old")
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "new").touch()
    other = backend.create(spec)
    assert len(pool_of(backend)) == 1
    assert other.run("ls /opt/m", timeout=5).output == ("new\n" if what == "mounts" else "")
    for one in (box, other):
        one.close()


@pytest.mark.parametrize("how", ["dead", "frozen", "removed"])
def test_one_that_does_not_answer_is_not_handed_out(
    backend: DockerBackend, tree: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "ANSWER_SECONDS", 0.3)
    box = asked_twice(backend, SandboxSpec(layers=(tree,)))
    ready = pool_of(backend)._idle[0]
    api = docker_client().api
    {
        "dead": lambda: (ready.first.kill(), ready.first.wait(5)),
        "frozen": lambda: api.pause(ready._id),
        "removed": lambda: api.remove_container(ready._id, force=True),
    }[how]()
    box.reset()
    assert container_of(box) is not ready
    assert box.run("cat a", timeout=5).output == "one\n"
    await_true(lambda: ready._id not in containers(os.getpid()))
    box.close()


def test_nothing_lives_on_in_shared_memory_and_ipc(backend: DockerBackend, tree: Path) -> None:
    interpreter = find_interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")
    box = asked_twice(backend, SandboxSpec(layers=(tree,), mounts=interpreter.mounts()))
    program = "import ctypes; libc = ctypes.CDLL(None); print(libc.shmget(7, 100, 0o1666), libc.msgget(7, 0o1666))"
    look = "tail -qn +2 /proc/sysvipc/*; ls -A /dev/shm /dev/mqueue | grep -v :$"
    made = box.run(f"{interpreter.executable} -I -c '{program}'; echo x > /dev/shm/x; {look}", timeout=10)
    assert len(made.output.split("\n")) >= 5, made
    box.reset()
    assert box.run(look, timeout=10).output.strip() == ""
    box.close()


def test_nothing_is_mounted_on_the_host(backend: DockerBackend, tree: Path) -> None:
    box = backend.create(SandboxSpec(layers=(tree,)))
    inside, outside = (Path(f"/proc/{pid}/mountinfo").read_text() for pid in (container_of(box).first.pid, "self"))
    *_, inside_tmp = (line for line in inside.splitlines() if line.split()[4] == "/tmp")
    assert inside_tmp.split()[3].endswith("/tmp")
    assert ("size=" in inside_tmp) == box._has_quota()
    assert re.search(r"upperdir=\d+/upper", inside)
    assert box._folder.name not in outside
    assert not re.search(r"upperdir=\d+/upper", outside)
    box.close()


@pytest.mark.usefixtures("daemon")
def test_the_pool_never_holds_more_than_its_size(tree: Path) -> None:
    before = containers(os.getpid())
    backend = DockerBackend(warm=1)
    boxes = [backend.create(SandboxSpec(layers=(tree,), limits=Limits(processes=90 + n % 2))) for n in range(4)]
    await_true(lambda: len(pool_of(backend)) == 1)
    await_true(lambda: not pool_of(backend)._wanted and not pool_of(backend)._doomed)
    assert len(pool_of(backend)) == 1
    for box in boxes:
        box.close()
    backend.close()
    # Another test's pool of this process may still have been at making one.
    await_true(lambda: set(containers(os.getpid())) <= set(before))


@pytest.mark.usefixtures("daemon")
def test_size_0_keeps_none(tree: Path) -> None:
    backend = DockerBackend(warm=0)
    box = backend.create(SandboxSpec(layers=(tree,)))
    for _ in range(2):
        box.reset()
    assert box.run("cat a", timeout=5).output == "one\n"
    assert len(pool_of(backend)) == 0
    assert not pool_of(backend)._wanted
    box.close()
    backend.close()


def test_the_old_go(backend: DockerBackend, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.1)
    box = asked_twice(backend, SandboxSpec(layers=(tree,)))
    ready = pool_of(backend)._idle[0]
    monkeypatch.setattr(pool, "AGE_SECONDS", 0.1)
    await_true(lambda: len(pool_of(backend)) == 0)
    await_true(lambda: ready._id not in containers(os.getpid()))
    box.close()


def test_a_daemon_that_fails_is_left_in_peace(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def fail(plan: Plan) -> Container:
        tries.append(plan)
        raise SandboxError("no room")

    pool = WarmPool(2, fail)
    plan = make_plan(SandboxSpec(layers=(tree,)), "image", None)
    for _ in range(50):
        assert pool.take(plan) is None
        time.sleep(0.005)
    await_true(lambda: tries)
    assert len(tries) == 1
    assert pool._pause == 1
    pool.close()


class Idle:
    """What the pool asks of a container, with no daemon behind it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.born = time.monotonic()
        self.first = self
        self.removed = threading.Event()

    def is_gone(self) -> bool:
        return False

    def end(self) -> None:
        """Nothing runs."""

    def remove(self) -> None:
        self.removed.set()


def test_between_two_that_are_made_it_pauses(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SPACING_SECONDS", 1000.0)
    made, asked = [], threading.Event()

    def make(plan: Plan) -> Container:
        asked.wait(60)
        made.append(Idle(plan))
        return made[-1]  # type: ignore[return-value]

    warm = WarmPool(2, make)
    plan = make_plan(SandboxSpec(layers=(tree,)), "image", None)
    for _ in range(3):  # wanted from the second time on
        assert warm.take(plan) is None
    asked.set()
    await_true(lambda: len(warm))
    assert list(warm._wanted) == [plan]
    assert warm._not_before >= made[0].born + 1000
    dead = Idle(plan)
    warm.bury(dead)  # its thread turns to that, since it may not make the other yet
    assert dead.removed.wait(60)
    assert len(made) == 1
    with warm._changed:
        warm._not_before = 0.0
        warm._changed.notify_all()
    await_true(lambda: len(warm) == 2)
    warm.close()
    assert all(one.removed.is_set() for one in made)


_HOST = """
import os, sys, time
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.docker import DockerBackend
backend = DockerBackend()
box = backend.create(SandboxSpec(layers=(Path(sys.argv[1]),)))
box.reset()
while not len(backend._pool()):
    time.sleep(0.01)
if sys.argv[2] == "fork" and os.fork() == 0:
    backend.create(SandboxSpec(layers=(Path(sys.argv[1]),))).close()
    assert not len(backend._pool())
    backend.close()
    os._exit(0)
if sys.argv[2] == "fork":
    assert os.wait()[1] == 0
    box.reset()
    print(box.run("cat a", timeout=5).output, end="", flush=True)
else:
    print("ready", flush=True)
if sys.argv[2] == "wait":
    time.sleep(600)
"""


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("how", ["end", "wait", "fork"])
def test_a_process_that_ends_leaves_none(tree: Path, how: str) -> None:
    host = subprocess.Popen([sys.executable, "-c", _HOST, tree, how], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert host.stdout is not None
    assert host.stdout.readline() == ("one\n" if how == "fork" else "ready\n")
    if how == "wait":
        await_true(lambda: len(containers(host.pid)) == 2)  # the one that served is removed meanwhile
        host.send_signal(signal.SIGKILL)
    assert host.wait(60) == (-signal.SIGKILL if how == "wait" else 0)
    host.stdout.close()
    await_true(lambda: not containers(host.pid))  # after a kill by the guard
