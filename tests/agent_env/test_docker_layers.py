"""Lower layers for a container's user: short links, or copies that it owns."""

import os
import stat
from pathlib import Path

import pytest

from agent_env.sandbox.docker_layers import SMALL_FILES, lay_layers
from agent_env.sandbox.overlay import lay_edits

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
    (place,) = lay_layers([layer], tmp_path / "lower", os.geteuid())
    assert place.readlink() == layer
    assert not set(",:") & set(place.relative_to(tmp_path).as_posix())


@root_only
def test_a_small_layer_is_copied_as_it_is_and_owned(layer: Path, tmp_path: Path) -> None:
    before = (layer / "f").stat().st_mtime_ns
    (place,) = lay_layers([layer], tmp_path / "lower", USER)
    assert {path.lstat().st_uid for path in (place, *place.rglob("*"))} == {USER}
    assert (place / "f").read_bytes() == b"x"
    assert (place / "f").stat().st_mode & 0o777 == 0o755
    assert (place / "f").stat().st_mtime_ns == before
    assert stat.S_ISCHR((place / "gone").lstat().st_mode)
    assert (place / "link").readlink() == Path("/etc/passwd")
    assert os.getxattr(place / "d", "user.overlay.opaque") == b"y"
    assert (layer / "f").stat().st_uid == 0


@root_only
def test_a_large_layer_is_copied_once_and_again_when_it_changed(layer: Path, tmp_path: Path) -> None:
    for number in range(SMALL_FILES + 1):
        (layer / f"n{number}").touch()
    (one,) = lay_layers([layer], tmp_path / "1", USER)
    (two,) = lay_layers([layer], tmp_path / "2", USER)
    assert one.is_symlink()
    assert one.readlink() == two.readlink()
    (layer / "f").write_bytes(b"changed")
    (three,) = lay_layers([layer], tmp_path / "3", USER)
    assert three.readlink() != one.readlink()
    assert (three / "f").read_bytes() == b"changed"
    assert (one / "f").read_bytes() == b"x"


def test_laying_again_replaces_what_was_there(layer: Path, tmp_path: Path) -> None:
    lay_layers([layer, layer], tmp_path / "lower", os.geteuid())
    assert [path.name for path in lay_layers([layer], tmp_path / "lower", os.geteuid())] == ["0"]
    assert [path.name for path in (tmp_path / "lower").iterdir()] == ["0"]
