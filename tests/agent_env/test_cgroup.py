"""Control groups: made with limits, counted, removed; and what the kernel's files say."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent_env.sandbox import bubblewrap
from agent_env.sandbox.base import Limits, Sandbox, SandboxSpec, StopCause
from agent_env.sandbox.cgroup import (
    Hierarchy,
    group_folders,
    make_group,
    oom_file_of,
    read_memory_kills,
    remove_group_folder,
    version_2,
)
from agent_env.sandbox.shell_tree import REVIVED


@pytest.mark.parametrize(
    ("content", "kills"),
    [
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
        ("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
        ("oom_kill_disable 0\n", 0),
        ("", 0),
    ],
    ids=["version-1", "version-2", "old-kernel", "empty"],
)
def test_memory_kills_are_read_from_both_versions(tmp_path: Path, content: str, kills: int) -> None:
    (tmp_path / "events").write_text(content)
    assert read_memory_kills(tmp_path / "events") == kills


def test_a_group_holds_its_processes_and_goes() -> None:
    name = f"{os.getpid()}-1-test"
    group = make_group(name, Limits(processes=7))
    if group is None:
        pytest.skip("this user may not make control groups here")
    joining = 'for file in "$@"; do echo 0 > "$file"; done; echo in; exec sleep 300'
    with subprocess.Popen(["sh", "-c", joining, "sh", *group.join_files()], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        assert name in Path(f"/proc/{process.pid}/cgroup").read_text()
        assert group.kills_for_memory() == 0
        found = oom_file_of(process.pid)
        assert found is not None
        assert found.parent.name == name
        assert read_memory_kills(found) == 0
        process.kill()
    group.remove()
    assert all(folder.name != name for folder in group_folders())


def test_a_group_that_cannot_be_made_whole_leaves_nothing() -> None:
    name = f"{os.getpid()}-1-refused"
    assert make_group(name, Limits(processes=-5)) is None
    assert all(folder.name != name for folder in group_folders())


def test_a_group_that_is_gone_may_be_removed_again(tmp_path: Path) -> None:
    remove_group_folder(tmp_path / "not-there")


def test_no_file_for_a_process_that_is_not_there() -> None:
    assert oom_file_of(999_999_999) is None


def lay(folder: Path, *, offered: str = "cpuset cpu io memory pids", given: str = "memory pids") -> None:
    """A folder that looks like a group of version 2; no kernel stands behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("controllers", offered), ("subtree_control", given), ("procs", "")):
        (folder / f"cgroup.{name}").write_text(content)


def test_version_2_hands_out_what_is_missing_below_the_topmost_group(tmp_path: Path) -> None:
    lay(tmp_path)
    lay(tmp_path / "user.slice")
    lay(tmp_path / "repodojo", given="")
    found = version_2(tmp_path, "/user.slice/session-1.scope")
    assert found is not None
    assert found.folders == dict.fromkeys(("cpu", "memory", "pids"), tmp_path / "repodojo")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert (tmp_path / "repodojo" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (found.oom_file, found.join_file) == ("memory.events", "cgroup.procs")


def test_version_2_goes_down_to_a_group_that_is_ours(tmp_path: Path) -> None:
    lay(tmp_path, offered="cpu io")
    lay(tmp_path / "user.slice" / "repodojo", given="")
    lay(tmp_path / "user.slice")
    found = version_2(tmp_path, "/user.slice/app.scope")
    assert found is not None
    assert found.folders["memory"] == tmp_path / "user.slice" / "repodojo"
    assert not (tmp_path / "repodojo").exists()


def test_version_2_without_the_controllers_is_none(tmp_path: Path) -> None:
    lay(tmp_path, offered="cpu io")
    assert version_2(tmp_path, "/") is None
    assert version_2(tmp_path / "not-there", "/") is None


def test_settings_of_both_versions() -> None:
    folders = {name: Path("/x") for name in ("memory", "pids", "cpu")}
    limits = Limits(memory_bytes=7, processes=8, cpus=0.5)
    one, two = Hierarchy(1, folders).settings(limits), Hierarchy(2, folders).settings(limits)
    assert one["memory"] == {"memory.limit_in_bytes": "7", "memory.memsw.limit_in_bytes": "7"}
    assert one["cpu"] == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    assert two == {
        "memory": {"memory.max": "7", "memory.swap.max": "0"},
        "pids": {"pids.max": "8"},
        "cpu": {"cpu.max": "50000 100000"},
    }


def test_more_processors_than_there_are_is_no_limit() -> None:
    folders = {name: Path("/x") for name in ("memory", "pids", "cpu")}
    assert "cpu" not in Hierarchy(2, folders).settings(Limits(cpus=10_000))


@pytest.fixture
def make_without_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Limits], Sandbox]]:
    """Makes a sandbox where no group can be made."""
    monkeypatch.setattr(bubblewrap, "make_group", lambda name, limits: None)
    with contextlib.ExitStack() as boxes:
        yield lambda limits: boxes.enter_context(
            contextlib.closing(bubblewrap.BubblewrapBackend().create(SandboxSpec(layers=(tmp_path,), limits=limits)))
        )


def test_a_memory_limit_is_looked_at_where_no_group_can_be_made(
    make_without_group: Callable[[Limits], Sandbox],
) -> None:
    box = make_without_group(Limits(memory_bytes=64 << 20))
    # The last word keeps each shell, and what it holds: bash becomes the last command of a subshell otherwise.
    grow = "(v=$(head -c 12000000 /dev/zero | tr '\\0' x); sleep 300; :) & "
    assert box.run(f"{grow * 6} wait", timeout=120).stopped is StopCause.OUT_OF_MEMORY
    assert box.run("echo ok", timeout=5).output.endswith("ok\n")


FEW = 30
"""Processes that the following sandboxes may have."""


# Those beyond twice the limit come faster than a look.
@pytest.mark.parametrize("number", [FEW + 5, FEW * 8])
def test_so_is_the_number_of_processes(make_without_group: Callable[[Limits], Sandbox], number: int) -> None:
    box = make_without_group(Limits(processes=FEW))
    done = box.run(f"for i in {{1..{number}}}; do sleep 300 & done; wait", timeout=120)
    assert (done.exit_code, done.stopped) == (None, StopCause.PROCESS_LIMIT)
    assert box.run("echo ok", timeout=5).output.endswith("ok\n")
    assert box.run("cat /proc/[0-9]*/cmdline | grep -c ^sleep", timeout=5).output == "0\n"


def test_as_many_processes_as_there_may_be_go_on(make_without_group: Callable[[Limits], Sandbox]) -> None:
    box = make_without_group(Limits(processes=FEW))
    done = box.run(f"for i in {{1..{FEW - 4}}}; do sleep 300 & done; sleep 1.2; jobs | wc -l", timeout=30)
    assert (done.output, done.stopped) == (f"{FEW - 4}\n", None)


@pytest.mark.skipif(os.getuid() != 0, reason="the kernel holds the number of an ordinary user's processes")
def test_a_bomb_that_grows_between_two_commands_is_ended(make_without_group: Callable[[Limits], Sandbox]) -> None:
    box = make_without_group(Limits(processes=FEW))
    assert box.run(f"(sleep 0.1; for i in {{1..{FEW * 8}}}; do sleep 300 & done) &", timeout=30).stopped is None
    assert box._tree.first.wait(60)  # type: ignore[attr-defined]
    done = box.run("echo ok", timeout=5)
    assert (done.output, done.stopped) == (REVIVED.decode() + "ok\n", None)
