"""Whoever selects a backend clears up after host processes that were killed, and touches nothing of those that live."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.sandbox.cgroup import group_folders
from agent_env.sandbox.processes import descendants
from tasks.owner import is_owner_alive

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]

_HOST = """
import sys
from pathlib import Path
from agent_env.sandbox.base import SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from tasks.scratch import scratch
box = BubblewrapBackend().create(SandboxSpec(layers=(Path(sys.argv[1]),)))
box.run("echo kept > kept; sleep 4444 & setsid sleep 4444 & true", timeout=10)
kept = box.snapshot()
with scratch("test"):
    print("made", flush=True)
    sys.stdin.readline()
    print(box.run("cat kept", timeout=10).output, kept.folder.is_dir(), flush=True)
"""

_START = "from agent_env.sandbox.select import select_backend; print(select_backend('bubblewrap').name)"

Host = subprocess.Popen[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the processes that are started here keep their files."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setenv("REPODOJO_SANDBOX_FILES", "disk")
    return place


@pytest.fixture
def host(place: Path, tmp_path: Path) -> Iterator[Host]:
    """A host process with a sandbox, in which processes run, a snapshot and a scratch folder."""
    command = [sys.executable, "-c", _HOST, str(tmp_path)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "made\n"
        yield host
        host.kill()


def start() -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, cwd=ROOT, check=True)


def folders_of(host: Host, place: Path) -> list[str]:
    found = [*place.glob(f"repodojo-*/{host.pid}-*/*"), *place.glob(f"repodojo-test-{host.pid}-*")]
    return sorted(str(path) for path in found)


def groups_of(host: Host) -> list[str]:
    return sorted(str(folder) for folder in group_folders() if folder.name.startswith(f"{host.pid}-"))


def test_a_start_removes_what_a_killed_host_left(host: Host, place: Path) -> None:
    below = descendants(host.pid) - {host.pid}
    names = [f"{pid}-{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}" for pid in below]
    host.kill()
    host.wait()
    assert len(folders_of(host, place)) == 3  # of the sandbox, the snapshot and the scratch
    said = start()
    assert (said.stdout, said.stderr) == ("bubblewrap\n", "")
    assert folders_of(host, place) == []
    assert groups_of(host) == []
    deadline = time.monotonic() + 30
    while any(is_owner_alive(name) for name in names):
        assert time.monotonic() < deadline


def test_a_start_touches_nothing_of_a_living_host(host: Host, place: Path) -> None:
    before = folders_of(host, place), groups_of(host), descendants(host.pid)
    assert len(before[0]) == 3
    start()
    assert (folders_of(host, place), groups_of(host), descendants(host.pid)) == before
    said, _ = host.communicate("\n", timeout=60)
    assert said == "kept\n True\n"


def test_what_cannot_be_removed_is_told_and_no_reason_not_to_start(host: Host, place: Path) -> None:
    base = Path(folders_of(host, place)[0]).parents[1]
    (base / "999999999-1").touch()
    said = start()
    assert said.stdout == "bubblewrap\n"
    assert "RuntimeWarning: what dead processes left behind stays until the next start: NotADirectory" in said.stderr
