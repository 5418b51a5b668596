"""The process that starts sandboxes: it goes with its host, is replaced when it dies, and says what went wrong."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox import spawn as spawning
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.processes import FirstProcess
from agent_env.sandbox.spawner import Request

pytestmark = pytest.mark.sandbox


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = BubblewrapBackend().create(SandboxSpec(layers=(tmp_path,)))
    yield sandbox
    sandbox.close()


def spawner_pid() -> int:
    return spawning._spawners[os.getpid()].process.pid


def test_sandboxes_outlive_the_death_of_their_spawner(box: Sandbox) -> None:
    box.run("echo kept > kept; echo kept > /tmp/kept", timeout=5)
    before = spawner_pid()
    first = FirstProcess(box._tree.first.pid)  # type: ignore[attr-defined]
    os.kill(before, signal.SIGKILL)
    assert first.wait(5)
    first.close()
    if os.geteuid() != 0:  # the files stand in the old spawner's user namespace, which nobody may enter now
        with pytest.raises(SandboxError, match="not permitted"):
            box.run("true", timeout=5)
        box.reset()
        assert box.run("echo ok", timeout=5).output == "ok\n"
        return
    box.run("true", timeout=5)
    assert box.run("cat kept /tmp/kept", timeout=5).output == "kept\nkept\n"
    assert spawner_pid() != before


def test_one_spawner_serves_all(box: Sandbox, tmp_path: Path) -> None:
    before = spawner_pid()
    BubblewrapBackend().create(SandboxSpec(layers=(tmp_path,))).close()
    assert spawner_pid() == before


def test_a_start_that_cannot_be_made_says_why(box: Sandbox) -> None:
    request = Request(
        program="/bin/true",
        arguments=[],
        command=[],
        environment={},
        filter="",
        groups=["/nowhere/tasks"],
        file_bytes=1 << 20,
        waits=False,
        network=False,
        folder="/",
        quota="",
    )
    with pytest.raises(SandboxError, match="/nowhere/tasks"):
        spawning.spawn(request, [0, 1, 2, 0, 0])


def test_the_spawner_ends_with_its_host(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from agent_env.sandbox.base import SandboxSpec\n"
        "from agent_env.sandbox import spawn; from agent_env.sandbox.bubblewrap import BubblewrapBackend\n"
        "box = BubblewrapBackend().create(SandboxSpec(layers=(Path(sys.argv[1]),)))\n"
        "print(spawn._spawners[os.getpid()].process.pid, flush=True); sys.stdin.read(); os.kill(os.getpid(), 9)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], text=True, **pipes
    ) as host:
        assert host.stdout is not None
        spawner = FirstProcess(int(host.stdout.readline()))
        host.communicate()
    assert spawner.wait(20)
    spawner.close()
    BubblewrapBackend().reap()


def test_no_mount_of_a_sandbox_is_to_be_seen_on_the_host(box: Sandbox) -> None:
    assert box._place.namespace is None or "\nrepodojo /" not in Path("/proc/mounts").read_text()  # type: ignore[attr-defined]


def test_a_child_that_was_forked_while_another_thread_starts_sandboxes_starts_its_own(tmp_path: Path) -> None:
    spec = SandboxSpec(layers=(tmp_path,))
    BubblewrapBackend().create(spec).close()
    with spawning._locks[os.getpid()]:
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            BubblewrapBackend().create(spec).close()
            spawning._dismiss()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


IN_FLIGHT = """
import socket, time
kept = []
try:
    while True:
        kept += [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]
        kept[-1][0].setblocking(False)
        for _ in range(8):
            socket.send_fds(kept[-1][0], [b"x"], [0] * 250)
except OSError as error:
    print(error, flush=True)
time.sleep(300)
"""

HOST = """
import os, resource, sys; from pathlib import Path
from agent_env.interpreter import find_interpreter
from agent_env.sandbox.base import SandboxSpec; from agent_env.sandbox.bubblewrap import BubblewrapBackend
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
interpreter = find_interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")
spec = SandboxSpec(layers=(Path(sys.argv[1]),), mounts=interpreter.mounts())
first = BubblewrapBackend().create(spec)
first.write("/tmp/fill.py", sys.argv[2].encode())
command = f"{interpreter.executable} -I /tmp/fill.py > /tmp/said & until [ -s /tmp/said ]; do sleep 0.01; done"
print(first.run(f"ulimit -n 4096; {command}; cat /tmp/said", timeout=20).output)
BubblewrapBackend().create(spec).close()
first.close()
print("started another")
"""


def test_what_one_sandbox_sends_and_never_receives_keeps_no_other_from_starting(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    # The kernel counts for root too, who lacks the powers that lift this limit.
    weak = ["setpriv", "--bounding-set=-sys_admin,-sys_resource"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*weak, sys.executable, "-c", HOST, str(tmp_path), IN_FLIGHT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Too many references" in done.stdout, done
    assert done.stdout.endswith("started another\n"), done
