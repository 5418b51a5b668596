"""Lower layers for a container's user: short links, or copies that it owns."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_env.sandbox.docker.kept import KEEP_SECONDS, reap_copies
from agent_env.sandbox.docker.layers import SMALL_FILES, lay_layers
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import making_in, new_residence, remove_residence, remove_tree, residence_base

USER = 1000

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root lays layers for another user")


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "a,b:c layer"
    folder.mkdir()
    lay_edits({"f": b"x", "d/g": b"y", "gone": None}, folder)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "f").chmod(0o755)
    os.setxattr(folder / "d", "user.overlay.opaque", b"y")
    return folder


def test_ones_own_layer_is_linked(layer: Path, tmp_path: Path) -> None:
    (place,) = lay_layers([layer], tmp_path / "lower", os.geteuid()).places
    assert place.readlink() == layer
    assert not set(",:") & set(place.relative_to(tmp_path).as_posix())


@root_only
def test_a_small_layer_is_copied_as_it_is_and_owned(layer: Path, tmp_path: Path) -> None:
    before = (layer / "f").stat().st_mtime_ns
    (place,) = lay_layers([layer], tmp_path / "lower", USER).places
    assert {path.lstat().st_uid for path in (place, *place.rglob("*"))} == {USER}
    assert (place / "f").read_bytes() == b"x"
    assert (place / "f").stat().st_mode & 0o777 == 0o755
    assert (place / "f").stat().st_mtime_ns == before
    assert stat.S_ISCHR((place / "gone").lstat().st_mode)
    assert (place / "link").readlink() == Path("/etc/passwd")
    assert os.getxattr(place / "d", "user.overlay.opaque") == b"y"
    assert (layer / "f").stat().st_uid == 0


def laid(layer: Path, folder: Path) -> list[Path]:
    """Laid for a sandbox that has ended since."""
    places, holds = lay_layers([layer], folder, USER)
    for descriptor in holds:
        os.close(descriptor)
    return places


@root_only
def test_a_large_layer_is_copied_once_and_again_when_it_changed(layer: Path, tmp_path: Path) -> None:
    for number in range(SMALL_FILES + 1):
        (layer / f"n{number}").touch()
    (one,) = laid(layer, tmp_path / "1")
    (two,) = laid(layer, tmp_path / "2")
    assert one.is_symlink()
    assert one.readlink() == two.readlink()
    (layer / "f").write_bytes(b"changed")
    (three,) = laid(layer, tmp_path / "3")
    assert three.readlink() != one.readlink()
    assert (three / "f").read_bytes() == b"changed"
    assert (one / "f").read_bytes() == b"x"


@root_only
def test_a_layer_that_goes_before_long_is_not_kept(layer: Path, tmp_path: Path) -> None:
    passing = new_residence(residence_base())
    try:
        for number in range(SMALL_FILES + 1):
            (passing / f"n{number}").touch()
        (place,) = laid(passing, tmp_path / "1")
        assert {path.lstat().st_uid for path in (place, *place.rglob("*"))} == {USER}
        assert not place.is_symlink()
        assert not (tmp_path / "home" / "owned").exists()
    finally:
        remove_residence(passing)


@root_only
def test_a_layer_of_a_fork_may_be_nested_deeper_than_a_stack_is(tmp_path: Path) -> None:
    passing, deep = new_residence(residence_base()), "d/" * 1200
    try:
        subprocess.run(["mkdir", "-p", passing / deep], check=True)  # pathlib's own calls itself for each
        for _ in range(2):  # the second time in the place of the first
            (place,) = lay_layers([passing], tmp_path / "lower", USER).places
            assert (place / deep).stat().st_uid == USER
    finally:
        remove_residence(passing)
        remove_tree(tmp_path / "lower")


def test_laying_again_replaces_what_was_there(layer: Path, tmp_path: Path) -> None:
    lay_layers([layer, layer], tmp_path / "lower", os.geteuid())
    assert [path.name for path in lay_layers([layer], tmp_path / "lower", os.geteuid()).places] == ["0"]
    assert [path.name for path in (tmp_path / "lower").iterdir()] == ["0"]


@pytest.fixture
def copied(layer: Path, tmp_path: Path) -> Path:
    """The copy of a large layer, which no sandbox uses any more."""
    for number in range(SMALL_FILES + 1):
        (layer / f"n{number}").touch()
    return laid(layer, tmp_path / "copied")[0].readlink()


@root_only
def test_a_copy_stays_while_its_layer_does(copied: Path) -> None:
    assert reap_copies() == 0
    assert (copied / "f").exists()


@root_only
def test_a_copy_goes_with_its_layer(copied: Path, layer: Path) -> None:
    layer.rename(layer.with_name("moved"))
    assert reap_copies() == 1
    assert [path.name for path in copied.parent.iterdir()] == [making_in(copied.parent).name]


@root_only
def test_a_copy_that_nobody_used_for_long_goes(copied: Path) -> None:
    long_ago = time.time() - KEEP_SECONDS - 1
    os.utime(f"{copied}.used", (long_ago, long_ago))
    assert reap_copies() == 1
    assert not copied.exists()


@root_only
def test_a_copy_in_use_stays_whatever_happens(copied: Path, layer: Path, tmp_path: Path) -> None:
    (place,), holds = lay_layers([layer], tmp_path / "again", USER)
    layer.rename(layer.with_name("moved"))
    assert reap_copies() == 0
    assert (place / "f").read_bytes() == b"x"
    for descriptor in holds:
        os.close(descriptor)
    assert reap_copies() == 1


@root_only
def test_what_a_killed_process_was_copying_is_removed(copied: Path) -> None:
    half = making_in(copied.parent) / "999999999-1" / "999999999-1-0" / "tree"
    half.mkdir(parents=True)
    assert reap_copies() == 1
    assert not half.exists()
    assert copied.exists()


@root_only
def test_a_note_of_a_process_killed_before_it_could_write_it_is_removed(copied: Path) -> None:
    copied.with_name("4567.used").touch()
    assert reap_copies() == 1
    assert sorted(path.name for path in copied.parent.iterdir()) == [
        copied.name,
        f"{copied.name}.used",
        making_in(copied.parent).name,
    ]


_COPIES = """
import sys, time; from pathlib import Path
from agent_env.sandbox.docker import layers
copy = layers._do
def half(*command):
    copy(*command)
    if command[0] == sys.argv[3]:
        print("there", flush=True)
        time.sleep(60)
layers._do = half
layers.lay_layers([Path(sys.argv[1])], Path(sys.argv[2]), 1000)
"""


@root_only
@pytest.mark.parametrize("after", ["cp", "chown"])
def test_a_process_that_is_killed_while_it_copies_leaves_no_half_copy(layer: Path, tmp_path: Path, after: str) -> None:
    for number in range(SMALL_FILES + 1):
        (layer / f"n{number}").touch()
    command = [sys.executable, "-c", _COPIES, layer, tmp_path / "lower", after]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"there\n"
        host.kill()
    base = tmp_path / "home" / "owned"
    assert len(list(making_in(base).rglob("n1"))) == 1
    assert [path for path in base.iterdir() if path.is_dir()] == [making_in(base)]
    reap_copies()
    assert list(making_in(base).iterdir()) == []
    place = laid(layer, tmp_path / "whole")[0].readlink()
    assert (place / "n1").stat().st_uid == USER


@root_only
def test_a_copy_without_a_note_of_its_use_is_removed(copied: Path) -> None:
    (copied.parent / "0123").mkdir()
    assert reap_copies() == 1
    assert copied.exists()
