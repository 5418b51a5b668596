"""What bench.chaos finds on the machine, and what it tells of a run that was not done: "0 left" can be otherwise."""

import os
import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_env.sandbox.base import Limits
from agent_env.sandbox.cgroup import make_group
from agent_env.sandbox.processes import descendants
from agent_env.sandbox.residence import making_in, passing_residence, residence_base
from bench.chaos.leavings import Leavings, look, strays
from bench.chaos.run import Run, Span
from tasks.home import home
from tasks.owner import owner_name
from tasks.pool import Pool

ROOT = Path(__file__).parents[2]
NOBODY = 1 << 22
"""No process has this id, so that it has left nothing; this one may, as other tests keep sandboxes."""


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a run of the bench."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def look_for(owner: int, *guarded: int) -> Leavings:
    return look({owner}, patience=0.0, guarded=guarded)


def test_folders_are_found_wherever_they_lie() -> None:
    bases = (residence_base(), making_in(home() / "builds"), making_in(home() / "owned"))
    scratch = Path(tempfile.mkdtemp(prefix=f"repodojo-test-{owner_name()}-4026531836-"))
    for base in bases:
        before = {*look_for(os.getpid()).folders}  # other tests may keep sandboxes
        with passing_residence(base) as folder:
            assert {str(folder.parent), str(scratch)} <= {*look_for(os.getpid()).folders}
        assert {*look_for(os.getpid()).folders} == before
    scratch.rmdir()
    assert str(scratch) not in look_for(os.getpid()).folders


def test_a_file_in_the_place_for_temporary_files_is_a_stray() -> None:
    (Path(tempfile.gettempdir()) / residence_base().name).mkdir()
    assert strays() == []
    planted = Path(tempfile.gettempdir()) / "planted"
    planted.touch()
    assert strays() == [str(planted)]


@pytest.mark.sandbox
def test_a_control_group_is_found_and_a_process_in_it() -> None:
    name = f"{owner_name()}-999-1"
    group = make_group(name, Limits())
    if group is None:
        pytest.skip("control groups cannot be made here")
    command = [*(f"echo 0 > {file};" for file in group.join_files()), "echo; exec sleep 600"]
    with subprocess.Popen(["sh", "-c", "".join(command)], stdout=subprocess.PIPE) as member:
        assert member.stdout is not None
        member.stdout.readline()
        left = look_for(os.getpid())
        member.kill()
    group.remove()
    assert any(path.endswith(name) for path in left.groups)
    assert f"{member.pid} sleep 600 " in left.processes
    assert not any(path.endswith(name) for path in look_for(os.getpid()).groups)


_HOST = """
import sys
{starts}
print("there", flush=True)
sys.stdin.read()
"""

STARTS = {
    "spawner.py": "from agent_env.sandbox.spawn import may_mount; may_mount()",
    "reader_child": "from blockers.monitor.reader import READER; READER.read('ls')",
    "select, sys": "from agent_env.sandbox.docker.guard import ensure_guard; ensure_guard()",
}
"""What starts each helper of a host process, by a piece of the helper's command line."""


@contextmanager
def killed_host(starts: str) -> Iterator[int]:
    """A host process that was killed while what it had started stood still, and so outlived it."""
    command = [sys.executable, "-c", _HOST.format(starts=starts)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"there\n"
        helpers = [os.pidfd_open(pid) for pid in descendants(host.pid) - {host.pid}]
        for helper in helpers:
            signal.pidfd_send_signal(helper, signal.SIGSTOP)
        host.kill()
    try:
        yield host.pid
    finally:
        for helper in helpers:
            try:
                signal.pidfd_send_signal(helper, signal.SIGKILL)
            except ProcessLookupError:  # it was told to die with its parent
                pass
            finally:
                os.close(helper)


@pytest.mark.sandbox
@pytest.mark.parametrize("piece", STARTS)
def test_a_helper_that_outlives_its_host_is_found(piece: str) -> None:
    with killed_host(STARTS[piece]) as host:
        found = look_for(host).processes
        assert any(piece in name for name in found), found
    assert look({host}, patience=30.0).processes == []


@pytest.mark.sandbox
def test_a_guard_that_may_still_be_at_work_is_let_be_and_no_other_helper() -> None:
    with killed_host(STARTS["select, sys"]) as host:
        assert look_for(NOBODY, host).processes == []
        assert look_for(NOBODY, NOBODY).processes != []
    with killed_host(STARTS["reader_child"]) as host:
        assert look_for(NOBODY, host).processes != []


def test_what_this_process_has_started_and_what_has_another_cache_is_none_of_it(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        assert look_for(NOBODY).processes == []
        child.kill()
    command = f"REPODOJO_HOME={tmp_path} sleep 600 >/dev/null & echo $!"
    foreign = int(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True).stdout)
    assert look_for(NOBODY).processes == []
    os.kill(foreign, signal.SIGKILL)


def run_of(pool: Pool, folder: Path, **options: object) -> Run:
    given = {"episodes": 0, "minutes": 60.0, "seed": 0, "restart": "", "restart_every": 300, **options}
    return Run(Namespace(**given), pool, folder, {})


def test_episodes_that_were_not_played_are_told_also_when_time_is_over(pool: Pool, tmp_path: Path) -> None:
    for minutes, said in ((60.0, "3 of 3 episodes were never played"), (0.0, "the 0 minutes were over")):
        (told,) = run_of(pool, tmp_path, episodes=3, minutes=minutes).judge()["failures of the run"]
        assert said in told


def test_a_restart_that_was_asked_for_and_never_was_is_told(pool: Pool, tmp_path: Path) -> None:
    run = run_of(pool, tmp_path, restart="true")
    assert run.judge()["failures of the run"] == ["no restart: 0 episodes ended, and one comes after 300"]
    run.restarts.append(Span(0.0, 1.0))
    assert run.judge()["failures of the run"] == []


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool.create(tmp_path / "pool")
