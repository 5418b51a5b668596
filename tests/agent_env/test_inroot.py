"""Paths inside another root never lead out of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.sandbox import inroot
from agent_env.sandbox.inroot import open_beneath, read_in_root, write_in_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that plays the root, with a secret beside it."""
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "root" / "d").mkdir(parents=True)
    (tmp_path / "root" / "f").write_text("inside")
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield tmp_path / "root", descriptor
    os.close(descriptor)


def test_paths_are_of_that_root(root: tuple[Path, int]) -> None:
    for path in ("/f", "f", "/d/../f", "/../../f", "/d/../../../f"):
        assert read_in_root(root[1], path) == b"inside"


def test_links_are_of_that_root(root: tuple[Path, int]) -> None:
    (root[0] / "absolute").symlink_to("/f")
    (root[0] / "d" / "up").symlink_to("../../../../f")
    assert read_in_root(root[1], "/absolute") == b"inside"
    assert read_in_root(root[1], "/d/up") == b"inside"


@pytest.mark.parametrize("target", ["../secret", "{outside}", "../../../../{outside}"])
def test_a_link_to_the_outside_finds_nothing(root: tuple[Path, int], target: str) -> None:
    (root[0] / "link").symlink_to(target.format(outside=root[0].parent / "secret"))
    with pytest.raises(FileNotFoundError):
        read_in_root(root[1], "/link")


def test_writing_through_a_link_stays_inside(root: tuple[Path, int]) -> None:
    (root[0] / "link").symlink_to("../secret")
    write_in_root(root[1], "/link", b"caught")
    assert (root[0] / "secret").read_text() == "caught"
    assert (root[0].parent / "secret").read_text() == "outside"


def test_folders_above_are_made_inside(root: tuple[Path, int]) -> None:
    (root[0] / "way").symlink_to("/d")
    write_in_root(root[1], "/way/new/deep/file", b"x")
    assert (root[0] / "d" / "new" / "deep" / "file").read_bytes() == b"x"


def test_a_file_in_the_way_is_an_error(root: tuple[Path, int]) -> None:
    with pytest.raises(NotADirectoryError):
        write_in_root(root[1], "/f/under", b"x")


def test_shorter_content_leaves_no_rest(root: tuple[Path, int]) -> None:
    write_in_root(root[1], "/f", b"i")
    assert read_in_root(root[1], "/f") == b"i"


def test_only_regular_files(root: tuple[Path, int]) -> None:
    os.mkfifo(root[0] / "pipe")
    with pytest.raises(PermissionError):
        read_in_root(root[1], "/pipe")
    with pytest.raises(IsADirectoryError):
        read_in_root(root[1], "/d")
    with pytest.raises(OSError, match=r"\w"):
        write_in_root(root[1], "/pipe", b"x")


def test_a_file_beyond_the_limit_is_refused(root: tuple[Path, int]) -> None:
    with (root[0] / "f").open("wb") as file:
        file.truncate(inroot.READ_LIMIT + 1)
    with pytest.raises(OSError, match="larger than the 64 MiB"):
        read_in_root(root[1], "/f")


def test_beneath_follows_no_link_at_all(root: tuple[Path, int]) -> None:
    (root[0] / "link").symlink_to("d")
    for path in ("link", "link/x", "../secret", "/f"):
        with pytest.raises(OSError, match=r"\w"):
            open_beneath(root[1], path, os.O_RDONLY)
    os.close(open_beneath(root[1], "d", os.O_RDONLY))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_has_that_users_permissions_and_files(root: tuple[Path, int]) -> None:
    (root[0] / "f").chmod(0o600)
    (root[0] / "d").chmod(0o777)
    with pytest.raises(PermissionError):
        read_in_root(root[1], "/f", user=1000)
    with pytest.raises(PermissionError):
        write_in_root(root[1], "/new", b"", user=1000)
    write_in_root(root[1], "/d/new", b"x", user=1000)
    assert ((root[0] / "d" / "new").stat().st_uid, (root[0] / "d" / "new").stat().st_gid) == (1000, 1000)
    write_in_root(root[1], "/f", b"root again")


def test_files_of_the_kernels_are_not_passed_on() -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    name = Path(f"/proc/{os.getpid()}/comm")
    before = name.read_text()
    try:
        for path in ("/proc/version", f"/proc/{os.getpid()}/mem", "/sys/kernel/uevent_seqnum"):
            with pytest.raises(PermissionError, match="the kernel's"):
                read_in_root(root, path)
        with pytest.raises(PermissionError, match="the kernel's"):
            write_in_root(root, str(name), b"changed")
    finally:
        os.close(root)
    assert name.read_text() == before


def test_links_that_lead_in_a_circle_are_an_error(root: tuple[Path, int]) -> None:
    (root[0] / "one").symlink_to("two")
    (root[0] / "two").symlink_to("one")
    with pytest.raises(OSError, match="levels of symbolic links"):
        write_in_root(root[1], "/one", b"x")


OPENS_A_TERMINAL = """
import fcntl, os, struct, sys
from agent_env.sandbox.inroot import read_in_root, write_in_root
master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
if sys.argv[1] == "unlocked":
    fcntl.ioctl(master, 0x40045431, struct.pack("i", 0))
number = struct.unpack("I", fcntl.ioctl(master, 0x80045430, b"0000"))[0]
root = os.open("/", os.O_PATH)
for touch in (lambda path: read_in_root(root, path), lambda path: write_in_root(root, path, b"x")):
    try:
        touch(f"/dev/pts/{number}")
    except PermissionError as error:
        print(error)
print(open("/proc/self/stat").read().rpartition(")")[2].split()[4])
"""


@pytest.mark.parametrize("terminal", ["locked", "unlocked"])
def test_a_terminal_is_refused_without_being_opened(terminal: str) -> None:
    command = [sys.executable, "-c", OPENS_A_TERMINAL, terminal]
    said = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True).stdout.split(
        "\n"
    )
    assert [line.endswith("is not a regular file") for line in said[:2]] == [True, True]
    assert said[2] == "0"  # it has no controlling terminal: nobody at the other end can send it signals
