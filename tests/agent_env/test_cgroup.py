"""Control groups: made with limits, counted, removed; and what the kernel's files say."""

import os
import subprocess
from pathlib import Path

import pytest

from agent_env.sandbox.base import Limits
from agent_env.sandbox.cgroup import group_folders, make_group, oom_file_of, read_memory_kills, remove_group_folder


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


def test_a_group_that_is_gone_may_be_removed_again(tmp_path: Path) -> None:
    remove_group_folder(tmp_path / "not-there")


def test_no_file_for_a_process_that_is_not_there() -> None:
    assert oom_file_of(999_999_999) is None
