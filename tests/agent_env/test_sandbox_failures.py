"""Sandboxes when the machine runs out of something, or their owner forgets them: one kind of error, nothing left."""

import gc
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.hostroot import make_etc
from agent_env.sandbox.local import kill_running
from agent_env.sandbox.processes import FirstProcess
from agent_env.tools import ToolCall
from agent_env.tools.toolbox import Toolbox

pytestmark = pytest.mark.sandbox

FORGETFUL = """
import sys; from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.residence import residence_base
from tasks.owner import owner_name
BubblewrapBackend().create(SandboxSpec(layers=(Path(sys.argv[1]),))).snapshot()
print(residence_base() / owner_name())
"""


@pytest.fixture
def spec(tmp_path: Path) -> SandboxSpec:
    return SandboxSpec(layers=(tmp_path,))


@pytest.fixture
def box(spec: SandboxSpec) -> Iterator[Sandbox]:
    sandbox = BubblewrapBackend().create(spec)
    yield sandbox
    sandbox.close()


@pytest.fixture
def limit_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def held() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.usefixtures("limit_files")
def test_a_start_without_descriptors_fails_clearly_and_keeps_none(spec: SandboxSpec) -> None:
    backend = BubblewrapBackend()
    backend.create(spec).close()
    gc.collect()
    descriptors = held()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    refused = 0
    for limit in range(4, 256):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            backend.create(spec).close()
        except SandboxError as error:
            assert "ulimit -n" in str(error)  # noqa: PT017 - most of the starts fail, the last does not
            refused += 1
        else:
            break
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert 0 < refused < 252
    assert held() == descriptors


def test_threads_that_start_together_share_one_etc(tmp_path: Path) -> None:
    made: list[Path] = []
    together = threading.Barrier(6)

    def make() -> None:
        together.wait()
        made.append(make_etc(tmp_path / "etc"))

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert list((tmp_path / "etc").iterdir()) == [made[0]]


def test_a_home_that_is_no_folder_is_told(spec: SandboxSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "file"))
    with pytest.raises(SandboxError, match="REPODOJO_HOME"):
        BubblewrapBackend().create(spec)


def test_what_is_forgotten_goes_with_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORGETFUL, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


def test_a_fork_ends_none_of_its_parents_sandboxes(box: Sandbox) -> None:
    child = os.fork()
    if child == 0:
        try:
            kill_running()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert box.run("echo alive", timeout=5).output == "alive\n"


def test_a_sandbox_whose_folder_was_swept_away_still_closes(box: Sandbox) -> None:
    first = FirstProcess(box._tree.first.pid)  # type: ignore[attr-defined]
    shutil.rmtree(box._folder)  # type: ignore[attr-defined]
    box.close()
    assert first.wait(5)
    first.close()


def test_files_are_whole_whenever_the_host_kills_all_processes(box: Sandbox) -> None:
    for number in range(150):
        first = FirstProcess(box._tree.first.pid)  # type: ignore[attr-defined]
        killer = threading.Timer(number * 1e-5, first.kill)
        killer.start()
        box.write("home/f", b"%d" % number)
        assert box.read("home/f") == b"%d" % number
        killer.join()
        first.wait(10)
        first.close()
        box.run(":", timeout=5)  # finds all dead, and starts anew


@pytest.mark.usefixtures("limit_files")
def test_the_editor_passes_no_failure_of_the_machine_for_one_of_the_file(box: Sandbox) -> None:
    box.write("f", b"whole\n")
    view, hard = ToolCall("edit", {"command": "view", "path": "f"}), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))  # enough for the root folder, and no file below it
    with pytest.raises(OSError, match="Too many open files"):
        Toolbox().execute(box, view)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert Toolbox().execute(box, view).text == "1\twhole"
