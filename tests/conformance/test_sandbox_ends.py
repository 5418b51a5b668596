"""How sandboxes end: what is left behind is nothing, whoever dies first."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Mount, Sandbox, SandboxBackend, SandboxSpec, StopCause
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.cgroup import group_folders
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.client import OWNER_LABEL, docker_client
from agent_env.sandbox.processes import descendants
from agent_env.sandbox.residence import residence_base
from tests.conformance.commands import MakeSandbox, await_end, text

_HOST = """
import sys, time
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.select import select_backend
box = select_backend(sys.argv[1]).create(SandboxSpec(layers=(Path(sys.argv[2]),)))
box.run("sleep 4444 & setsid sleep 4444 & true", timeout=5)
print(box._tree.first.pid, flush=True)
if sys.argv[3] == "wait":
    box.run("sleep 4444", timeout=600)
elif sys.argv[3] == "fail":
    raise RuntimeError("on purpose")
"""


def left_behind(backend: SandboxBackend, owner: int) -> list[str]:
    """All that a host process's sandboxes have on this machine."""
    mark = f"{owner}-"
    found = [str(path) for path in residence_base().glob(f"{mark}*/*")]
    found += [str(path) for path in group_folders() if path.name.startswith(mark)]
    if isinstance(backend, DockerBackend):
        backend.close()  # what it keeps started ahead is no sandbox's
        api = docker_client().api
        things = api.containers(all=True, filters={"label": OWNER_LABEL})
        things += api.volumes(filters={"label": OWNER_LABEL})["Volumes"] or []
        found += [thing["Labels"][OWNER_LABEL] for thing in things if thing["Labels"][OWNER_LABEL].startswith(mark)]
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if f"/{mark}" in line]
    return found


def start_host(backend: SandboxBackend, tree: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOST, backend.name, str(tree), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_a_kill_from_another_thread_ends_the_command(make: MakeSandbox) -> None:
    box = make()
    try:
        killer = threading.Timer(0.3, box.kill)
        killer.start()
        assert box.run("sleep 1000", timeout=120).stopped is StopCause.SHELL_DIED
        killer.join()
        box.write("kept", b"x")
        box.kill()
        box.kill()
        assert set(box.changes()) == {"kept"}
    finally:
        box.close()
    box.kill()


def test_close_leaves_nothing(backend: SandboxBackend, make: MakeSandbox) -> None:
    before = left_behind(backend, os.getpid())
    box = make()
    text(box, "setsid sleep 300 & (sleep 300 &) ; mkdir -m 0 shut; mkdir -p a/b; chmod 0 a")
    pids = descendants(box._tree.first.pid)  # type: ignore[attr-defined]
    assert len(pids) >= 5
    assert len(left_behind(backend, os.getpid())) > len(before)
    box.close()
    assert await_end(pids) == set()
    assert left_behind(backend, os.getpid()) == before


def test_close_twice_is_fine(make: MakeSandbox) -> None:
    box = make()
    box.close()
    box.close()


def test_close_leaves_no_open_descriptor(backend: SandboxBackend, make: MakeSandbox) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            box = make()
            box.reset()
            box.close()
        if isinstance(backend, DockerBackend):
            backend.close()
            docker_client().api.close()  # connections that are kept for the next request
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[1] <= counts[0]


def test_stop_ends_every_process_and_may_be_said_twice(fresh: Sandbox) -> None:
    text(fresh, "setsid sleep 300 & sleep 300 & true")
    pids = descendants(fresh._tree.first.pid)  # type: ignore[attr-defined]
    fresh.stop()
    fresh.stop()
    assert await_end(pids) == set()


def test_a_sandbox_outlives_the_thread_that_made_it(make: MakeSandbox) -> None:
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(make()))
    thread.start()
    thread.join()
    time.sleep(0.1)
    try:
        assert text(made[0], "echo alive") == "alive\n"
    finally:
        made[0].close()


def test_a_sandbox_that_was_killed_comes_back_with_its_files(fresh: Sandbox) -> None:
    text(fresh, "echo kept > kept; echo kept > /tmp/kept")
    first = fresh._tree.first  # type: ignore[attr-defined]
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(5)
    done = fresh.run("cat kept /tmp/kept", timeout=5)
    assert (done.exit_code, done.stopped) == (0, None)
    assert "the shell was restarted" in done.output
    assert done.output.endswith("kept\nkept\n")


def test_a_kill_between_commands_ends_the_next_one(fresh: Sandbox) -> None:
    text(fresh, "echo kept > kept")
    fresh.kill()
    done = fresh.run("sleep 30; rm kept", timeout=60)
    assert (done.exit_code, done.stopped) == (None, StopCause.SHELL_DIED)
    assert text(fresh, "cat kept") == "kept\n"


def test_a_kill_while_processes_are_started_again_ends_the_command(
    fresh: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fresh._tree.first  # type: ignore[attr-defined]
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(5)
    launch = fresh._launch  # type: ignore[attr-defined]

    def launch_while_killed() -> object:
        fresh.kill()
        monkeypatch.undo()
        return launch()

    monkeypatch.setattr(fresh, "_launch", launch_while_killed)
    assert fresh.run("sleep 5", timeout=60).stopped is StopCause.SHELL_DIED
    assert text(fresh, "echo ok") == "ok\n"


def test_a_host_process_that_ends_leaves_nothing(backend: SandboxBackend, tree: Path) -> None:
    for how in ("end", "fail"):
        host = start_host(backend, tree, how)
        first = int(host.communicate(timeout=60)[0])
        assert await_end({first}) == set()
        assert left_behind(backend, host.pid) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_host_process_that_is_killed_leaves_no_process_and_the_rest_is_reaped(
    backend: SandboxBackend, tree: Path, number: signal.Signals
) -> None:
    host = start_host(backend, tree, "wait")
    assert host.stdout is not None
    pids = descendants(int(host.stdout.readline()))
    time.sleep(0.2)
    host.send_signal(number)
    host.wait()
    host.stdout.close()
    assert await_end(pids) == set()
    backend.reap()
    assert left_behind(backend, host.pid) == []


def test_reap_leaves_the_living_alone(backend: SandboxBackend, fresh: Sandbox) -> None:
    backend.reap()
    assert text(fresh, "echo alive") == "alive\n"


def test_a_start_that_fails_says_why_and_leaves_nothing(backend: SandboxBackend, tree: Path, tmp_path: Path) -> None:
    before = left_behind(backend, os.getpid())
    spec = SandboxSpec(layers=(tree,), mounts=(Mount(source=tmp_path / "not-there", target="/opt/x"),))
    with pytest.raises(SandboxError, match="not-there"):
        backend.create(spec)
    assert left_behind(backend, os.getpid()) == before


def test_a_forked_child_does_not_end_its_parents_sandbox(fresh: Sandbox) -> None:
    child = os.fork()
    if child == 0:
        fresh.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert text(fresh, "echo alive") == "alive\n"


def test_the_backend_finds_no_fatal_problem(backend: SandboxBackend) -> None:
    assert [problem for problem in backend.problems() if problem.fatal] == []


def test_constructing_a_backend_costs_nothing() -> None:
    assert BubblewrapBackend().name == "bubblewrap"


@pytest.mark.parametrize("place", ["/testbed", "/tmp", "$HOME"])
def test_a_folder_without_rights_does_not_keep_a_killed_sandbox_from_starting_again(fresh: Sandbox, place: str) -> None:
    fresh.run(f"chmod 000 {place}; kill -9 $PPID $$", timeout=20)
    assert text(fresh, "echo back").endswith("back\n")
