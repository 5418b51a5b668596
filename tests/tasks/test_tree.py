"""Trees: the same files give the same archive and digest, and an archive cannot write outside its folder."""

import contextlib
import gzip
import io
import os
import resource
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BadInputError
from tasks.tree import list_files, pack_tree, tree_digest, unpack_tree


def make_tree(root: Path) -> Path:
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/a.py").write_text("a = 1\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("pkg/a.py")
    (root / "folder_link").symlink_to("pkg")
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return root


def test_git_directories_are_not_part_of_a_tree_and_links_are_files(tmp_path: Path) -> None:
    assert list_files(make_tree(tmp_path / "t")) == ["folder_link", "link", "pkg/a.py", "run.sh"]


def test_a_list_is_whole_or_an_error_where_descriptors_run_out(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t")
    whole, before, refused = list_files(tree), resource.getrlimit(resource.RLIMIT_NOFILE), 0
    try:
        for limit in range(3, 128):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
            try:
                assert list_files(tree) == whole
            except OSError:
                refused += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert 0 < refused < 125
    assert list_files(tmp_path / "none") == []


@pytest.fixture
def deep_root(tmp_path: Path) -> Iterator[Path]:
    """Removed by the system's ``rm``: pytest's own way gives up on what is nested so deeply."""
    yield tmp_path
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def test_folders_may_be_nested_deeper_than_a_stack_is(deep_root: Path) -> None:
    deep = "d/" * 1200
    subprocess.run(["mkdir", "-p", deep_root / deep], check=True)  # pathlib's own calls itself for each
    (deep_root / deep / "f").touch()
    assert list_files(deep_root) == [f"{deep}f"]


def test_what_lies_deeper_than_a_path_can_name_is_left_out(deep_root: Path) -> None:
    with contextlib.chdir(deep_root):
        for _ in range(20):  # 5,000 bytes
            Path("f").touch()
            Path("n" * 250).mkdir()
            os.chdir("n" * 250)
    found = list_files(deep_root)
    assert found[0] == "f"
    assert 10 < len(found) < 20


def test_an_archive_does_not_depend_on_times_and_comes_back_whole(tmp_path: Path) -> None:
    first, second = make_tree(tmp_path / "1"), make_tree(tmp_path / "2")
    os.utime(second / "pkg/a.py", (1, 1))
    assert pack_tree(first) == pack_tree(second)
    unpack_tree(pack_tree(first), tmp_path / "3")
    assert tree_digest(tmp_path / "3") == tree_digest(first)
    assert (tmp_path / "3/run.sh").stat().st_mode & 0o111
    assert (tmp_path / "3/link").readlink() == Path("pkg/a.py")


def test_hard_links_are_packed_as_files(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a").write_text("x")
    (tmp_path / "t/b").hardlink_to(tmp_path / "t/a")
    unpack_tree(pack_tree(tmp_path / "t"), tmp_path / "u")
    assert (tmp_path / "u/b").read_text() == "x"


@pytest.mark.parametrize("change", ["content", "mode", "name", "kind"])
def test_the_digest_sees_every_change(tmp_path: Path, change: str) -> None:
    root = make_tree(tmp_path / "t")
    before = tree_digest(root)
    match change:
        case "content":
            (root / "pkg/a.py").write_text("a = 2\n")
        case "mode":
            (root / "run.sh").chmod(0o644)
        case "name":
            (root / "run.sh").rename(root / "walk.sh")
        case "kind":
            (root / "link").unlink()
            (root / "link").write_text("pkg/a.py")
    assert tree_digest(root) != before


def test_edits_count_as_if_they_were_written(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t")
    with_edits = tree_digest(root, {"pkg/a.py": b"a = 2\n", "run.sh": None, "new.txt": b"n"})
    (root / "pkg/a.py").write_bytes(b"a = 2\n")
    (root / "run.sh").unlink()
    (root / "new.txt").write_bytes(b"n")
    assert tree_digest(root) == with_edits


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../out"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(BadInputError, match="not a plain file"):
        unpack_tree(gzip.compress(raw.getvalue()), tmp_path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../../x"])
def test_a_link_that_leaves_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "t/deep").mkdir(parents=True)
    (tmp_path / "t/deep/link").symlink_to(target)
    with pytest.raises(BadInputError, match="deep/link"):
        unpack_tree(pack_tree(tmp_path / "t"), tmp_path / "u")
