"""Folders of sandboxes on the host: named for their owner, removed whole, reaped when the owner is dead."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.residence import (
    making_in,
    new_residence,
    reap_residences,
    remove_residence,
    remove_tree,
    residence_base,
)
from agent_env.store import EnvironmentStore
from tasks.owner import is_owner_alive
from tasks.scratch import scratch


def test_a_residence_is_private_and_new_each_time(tmp_path: Path) -> None:
    one, two = new_residence(tmp_path), new_residence(tmp_path)
    assert one != two
    assert one.stat().st_mode & 0o777 == 0o700
    assert one.name.startswith(f"{os.getpid()}-")
    assert is_owner_alive(one.name)


def test_the_owners_folder_goes_with_its_last_residence(tmp_path: Path) -> None:
    one, two = new_residence(tmp_path), new_residence(tmp_path)
    remove_residence(one)
    assert two.is_dir()
    remove_residence(two)
    assert list(tmp_path.iterdir()) == []


def test_the_base_can_hold_an_upper_layer() -> None:
    os.setxattr(residence_base(), "user.repodojo", b"y")
    assert residence_base().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["1234567-1", f"{os.getpid()}-1", f"{os.getpid()}-1-7"])
def test_a_dead_owner_or_another_process_of_that_number_is_not_alive(name: str) -> None:
    assert not is_owner_alive(name)


@pytest.mark.parametrize("name", ["layers", "lost+found", "", "x-1", "1-x"])
def test_names_of_another_kind_are_left_alone(name: str) -> None:
    assert is_owner_alive(name)


def test_reap_removes_the_dead_and_keeps_the_living(tmp_path: Path) -> None:
    mine = new_residence(tmp_path)
    code = (
        "import sys; from pathlib import Path; from agent_env.sandbox.residence import new_residence\n"
        "for _ in range(2): (new_residence(Path(sys.argv[1])) / 'upper').mkdir()\n"
        "import os; os._exit(0)"  # as if it had been killed: an orderly end leaves nothing
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    (tmp_path / "other").mkdir()
    assert reap_residences(tmp_path) >= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.parent.name, "other"])
    assert mine.is_dir()


def test_reap_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert reap_residences(tmp_path / "not-there") >= 0


def test_remove_tree_opens_closed_folders(tmp_path: Path) -> None:
    (tmp_path / "t" / "a" / "b").mkdir(parents=True)
    (tmp_path / "t" / "a" / "b" / "f").touch()
    (tmp_path / "t" / "a").chmod(0)
    remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_remove_tree_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "f").touch()
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "t")
    assert (tmp_path / "kept" / "f").exists()


def test_remove_tree_takes_trees_deeper_than_a_path_can_name(tmp_path: Path) -> None:
    code = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
    (tmp_path / "t").mkdir()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path / "t")
    remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_remove_tree_of_nothing_is_nothing(tmp_path: Path) -> None:
    remove_tree(tmp_path / "not-there")


def test_what_a_dead_process_was_installing_is_removed_by_the_next_store(tmp_path: Path) -> None:
    dead = making_in(tmp_path / "builds") / "999999999-1/999999999-1-0"
    (dead / "venv").mkdir(parents=True)
    EnvironmentStore(BubblewrapBackend(), tmp_path / "builds")
    assert list(making_in(tmp_path / "builds").iterdir()) == []


def test_scratch_folders_of_the_dead_go_and_those_of_the_living_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "from tasks.scratch import scratch; import os\n"
        "made = scratch('test'); (made.__enter__() / 'x').write_text(''); {end}"
    )
    for end in ("os.kill(os.getpid(), 9)", "pass"):
        command = [sys.executable, "-c", code.format(end=end)]
        subprocess.run(command, check=False, cwd=Path(__file__).parents[2], env={**os.environ, "TMPDIR": str(tmp_path)})
    (dead,) = tmp_path.iterdir()  # an orderly end leaves none
    with scratch("test") as mine:
        assert mine.parent == tmp_path
        BubblewrapBackend().reap()
        assert list(tmp_path.iterdir()) == [mine]
    assert not dead.exists()
    assert list(tmp_path.iterdir()) == []
