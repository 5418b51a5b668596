"""Files: reading and writing from the host, what changed, and what a reset brings back."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Limits, Mount, Sandbox
from agent_env.sandbox.overlay import TOO_LARGE, lay_edits
from agent_env.sandbox.processes import descendants
from tasks.patch import apply_patch
from tests.conformance.commands import MakeSandbox, await_end, text

START = {"a.txt": b"one\n", "gone.txt": b"to be deleted\n", "pkg/mod.py": b"X = 1\n", "pkg/deep/low.py": b"Y = 2\n"}


def test_the_layers_stand_in_the_work_tree(box: Sandbox) -> None:
    assert text(box, "cat a.txt; ls pkg").split() == ["one", "deep", "mod.py"]


def test_a_later_layer_covers_and_deletes(make: MakeSandbox, tree: Path, tmp_path: Path) -> None:
    lay_edits({"a.txt": b"two\n", "gone.txt": None, "pkg/new.py": b""}, tmp_path)
    box = make(layers=(tree, tmp_path))
    try:
        assert (
            text(box, "cat a.txt; echo *; echo pkg/*")
            == "two\na.txt image.bin link pkg\npkg/deep pkg/mod.py pkg/new.py\n"
        )
        assert box.changes() == {}
        text(box, "echo one > a.txt; echo back > gone.txt")
        assert box.changes() == {"a.txt": b"one\n", "gone.txt": b"back\n"}
    finally:
        box.close()


def test_a_layer_is_never_written_to(make: MakeSandbox, tree: Path) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*"))
    box = make()
    text(box, "echo x >> a.txt; rm -r pkg gone.txt; chmod 600 image.bin")
    box.close()
    assert sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*")) == before


def test_a_mount_is_read_only(make: MakeSandbox, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mounted\n")
    tmp_path.chmod(0o777)
    box = make(mounts=(Mount(source=tmp_path, target="/opt/extra"),))
    try:
        assert text(box, "cat /opt/extra/f") == "mounted\n"
        assert box.run("echo x > /opt/extra/g", timeout=5).exit_code == 1
        assert box.run("echo x > /opt/extra/f", timeout=5).exit_code == 1
        with pytest.raises(OSError, match=r"\w"):
            box.write("/opt/extra/g", b"")
    finally:
        box.close()
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_writable_mount_keeps_what_is_written(make: MakeSandbox, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    box = make(mounts=(Mount(source=tmp_path / "cache", target="/opt/cache", writable=True),))
    text(box, "echo kept > /opt/cache/f")
    box.close()
    assert (tmp_path / "cache" / "f").read_text() == "kept\n"


def test_a_hidden_folder_is_empty(make: MakeSandbox, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "secret").touch()
    tmp_path.chmod(0o755)
    box = make(mounts=(Mount(source=tmp_path, target="/opt/extra"),), hidden=("/opt/extra/inner",))
    try:
        assert text(box, "ls -A /opt/extra/inner") == ""
    finally:
        box.close()


def test_read_gives_exact_bytes(box: Sandbox) -> None:
    assert box.read("image.bin") == b"\0\1\2\xff"


def test_read_and_write_take_absolute_paths(box: Sandbox) -> None:
    box.write("/tmp/deep/er/file", b"x\0y")
    assert box.read("/tmp/deep/er/file") == b"x\0y"


def test_what_is_written_belongs_to_the_user_inside(box: Sandbox) -> None:
    box.write("made/by/host.txt", b"1\n")
    text(box, "echo 2 >> made/by/host.txt; chmod 700 made; touch made/by/more; rm -r made")


def test_write_replaces_content_and_keeps_the_mode(box: Sandbox) -> None:
    text(box, "echo long content > w; chmod 755 w")
    box.write("w", b"s")
    assert text(box, "cat w; stat -c %a w; rm w") == "s755\n"


def test_a_big_file_passes_both_ways(box: Sandbox) -> None:
    data = os.urandom(1 << 20) * 16
    box.write("/tmp/big", data)
    assert box.read("/tmp/big") == data
    text(box, "rm /tmp/big")


def test_a_sparse_giant_is_not_read(box: Sandbox) -> None:
    text(box, "truncate -s 900M giant")
    with pytest.raises(OSError, match="larger than"):
        box.read("giant")
    text(box, "rm giant")


def test_read_of_nothing_is_file_not_found(box: Sandbox) -> None:
    with pytest.raises(FileNotFoundError):
        box.read("nothing/here")


def test_a_path_with_a_nul_byte_is_refused(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="NUL"):
        box.read("a.txt\0b")
    with pytest.raises(ValueError, match="NUL"):
        box.write("a.txt\0b", b"x")
    assert box.read("a.txt") == b"one\n"


def test_read_of_a_folder_is_is_a_directory(box: Sandbox) -> None:
    with pytest.raises(IsADirectoryError):
        box.read("pkg")


def test_read_of_a_pipe_or_device_is_refused_at_once(box: Sandbox) -> None:
    text(box, "mkfifo pipe")
    for path in ("pipe", "/dev/zero"):
        with pytest.raises(PermissionError):
            box.read(path)
    text(box, "rm pipe")


def test_write_to_a_pipe_or_folder_is_refused_at_once(box: Sandbox) -> None:
    text(box, "mkfifo pipe")
    for path in ("pipe", "pkg"):
        with pytest.raises(OSError, match=r"\w"):
            box.write(path, b"x")
    text(box, "rm pipe")


def test_a_link_is_followed_inside_the_sandbox(box: Sandbox) -> None:
    assert box.read("link") == b"one\n"


@pytest.fixture
def secret() -> Iterator[Path]:
    """A file of the host that everybody there may read and write, in a folder of the same kind."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "secret"
        path.write_text("host only")
        path.chmod(0o666)
        path.parent.chmod(0o777)
        yield path


@pytest.fixture(params=["{secret}", "../../../../../../../..{secret}", "/proc/self/root{secret}"])
def ways(request: pytest.FixtureRequest, box: Sandbox, secret: Path) -> Iterator[tuple[str, ...]]:
    """Paths in the sandbox that would lead to the secret, were they followed on the host."""
    place = request.param.format(secret=secret)
    text(box, f"ln -sfn {place} way; ln -sfn {secret.parent} folder; ln -sfn / root")
    yield "way", place, "folder/secret", f"root{secret}"
    text(box, f"rm -rf way folder root {secret.parent}")


def test_a_link_or_a_path_never_reads_from_the_host(box: Sandbox, ways: tuple[str, ...]) -> None:
    for path in ways:
        with pytest.raises(OSError, match=r"\w"):
            box.read(path)


def test_a_link_or_a_path_never_writes_to_the_host(box: Sandbox, secret: Path, ways: tuple[str, ...]) -> None:
    for path in ways:
        with contextlib.suppress(OSError):  # some are refused
            box.write(path, b"overwritten")
    assert text(box, f"cat {secret}") == "overwritten"  # the others lead here: to the same name in the sandbox
    assert [*secret.parent.iterdir()] == [secret]
    assert secret.read_text() == "host only"


def test_no_change_is_no_change(fresh: Sandbox) -> None:
    text(fresh, "cat a.txt; touch a.txt pkg/mod.py; chmod 755 pkg")
    assert fresh.changes() == {}
    assert fresh.diff() == ""


def test_changes_names_edits_new_files_and_deletions(fresh: Sandbox) -> None:
    text(fresh, "echo two >> a.txt; rm gone.txt; mkdir -p new/sub; printf x > new/sub/f; printf '\\0' > new/bin")
    assert fresh.changes() == {"a.txt": b"one\ntwo\n", "gone.txt": None, "new/sub/f": b"x", "new/bin": b"\0"}


def test_changes_tells_a_renamed_file(fresh: Sandbox) -> None:
    text(fresh, "mv a.txt b.txt")
    assert fresh.changes() == {"a.txt": None, "b.txt": b"one\n"}


def test_changes_tells_a_renamed_folder(fresh: Sandbox) -> None:
    text(fresh, "mv pkg lib")
    assert fresh.changes() == {
        "pkg/mod.py": None,
        "pkg/deep/low.py": None,
        "lib/mod.py": b"X = 1\n",
        "lib/deep/low.py": b"Y = 2\n",
    }


def test_changes_tells_a_folder_made_anew(fresh: Sandbox) -> None:
    text(fresh, "rm -r pkg; mkdir pkg; echo 'X = 9' > pkg/mod.py")
    assert fresh.changes() == {"pkg/mod.py": b"X = 9\n", "pkg/deep/low.py": None}


def test_changes_tells_a_file_in_the_place_of_a_folder_and_the_reverse(fresh: Sandbox) -> None:
    text(fresh, "rm -r pkg; echo file > pkg; rm a.txt; mkdir a.txt; echo in > a.txt/in")
    expected = {"pkg": b"file\n", "pkg/mod.py": None, "pkg/deep/low.py": None, "a.txt": None, "a.txt/in": b"in\n"}
    assert fresh.changes() == expected


def test_changes_leaves_links_pipes_and_git_out(fresh: Sandbox) -> None:
    text(fresh, "ln -s /etc/passwd l; mkfifo p; echo x > .git/config; mkdir s; echo x > s/.git; ln -sfn b link")
    assert fresh.changes() == {}


def test_a_file_replaced_by_a_link_counts_as_gone(fresh: Sandbox) -> None:
    text(fresh, "ln -sf /etc/passwd a.txt; rm -r pkg; ln -s /etc pkg")
    assert fresh.changes() == {"a.txt": None, "pkg/mod.py": None, "pkg/deep/low.py": None}


def test_a_giant_file_is_marked_and_not_read(fresh: Sandbox) -> None:
    text(fresh, "for i in 1 2 3 4 5 6 7 8; do truncate -s 900M giant$i; done")
    assert all(content is TOO_LARGE for content in fresh.changes().values())


def test_a_very_deep_tree_is_read_and_removed(make: MakeSandbox, python: str) -> None:
    box = make()
    text(box, f'echo y > after; {python} -c \'import os\nfor _ in range(3000): os.mkdir("d"); os.chdir("d")\'')
    assert box.changes() == {"after": b"y\n"}
    box.reset()
    assert text(box, "ls -d d after 2>/dev/null || true") == ""
    box.close()


def test_names_of_all_kinds_are_told(fresh: Sandbox) -> None:
    names = ["with space", "naïve 世界", "-dash", "quote'\"", "new\nline", "\\back", "*"]
    for name in names:
        fresh.write(name, b"x\n")
    assert fresh.changes() == dict.fromkeys(names, b"x\n")


def test_diff_applied_to_the_start_gives_the_changes(fresh: Sandbox) -> None:
    text(fresh, "sed -i s/1/2/ pkg/mod.py; rm gone.txt; printf 'no newline' > new.py; printf '\\0' > bin; : > empty")
    changes = fresh.changes()
    assert changes.pop("bin") == b"\0"
    assert apply_patch(fresh.diff(), START.get) == changes


def test_changes_work_after_stop(fresh: Sandbox) -> None:
    text(fresh, "echo two > a.txt")
    fresh.stop()
    assert fresh.changes() == {"a.txt": b"two\n"}
    assert "+two" in fresh.diff()


def test_reset_restores_files_in_and_outside_the_work_tree(fresh: Sandbox) -> None:
    text(fresh, "echo x > a.txt; rm -r pkg; echo x > /tmp/t; echo x > ~/.bashrc; echo x > /dev/shm/s; mkdir -m 0 shut")
    fresh.reset()
    assert fresh.changes() == {}
    assert text(fresh, "cat a.txt pkg/mod.py; ls -A /tmp ~ /dev/shm | grep -v :$ || true").split() == [
        "one",
        "X",
        "=",
        "1",
    ]


def test_reset_ends_processes(fresh: Sandbox) -> None:
    text(fresh, "setsid sleep 300 & (sleep 300 &); sleep 300 & true")
    pids = descendants(fresh._tree.first.pid)  # type: ignore[attr-defined]
    assert len(pids) >= 5
    fresh.reset()
    assert await_end(pids) == set()


def test_reset_brings_a_new_environment(fresh: Sandbox) -> None:
    text(fresh, "export PATH=/nowhere X=1; umask 000; cd /tmp; alias ls=false")
    fresh.reset()
    assert text(fresh, 'echo "$X"; pwd; umask; ls -d /') == "\n/testbed\n0022\n/\n"


def test_reset_works_after_stop(fresh: Sandbox) -> None:
    text(fresh, "echo x > a.txt")
    fresh.stop()
    fresh.reset()
    assert text(fresh, "cat a.txt") == "one\n"


def test_a_file_beyond_the_limit_is_cut_there(make: MakeSandbox) -> None:
    box = make(limits=Limits(file_bytes=1 << 20))
    try:
        assert box.run("head -c 3000000 /dev/zero > big", timeout=10).exit_code != 0
        assert int(text(box, "stat -c %s big")) <= 1 << 20
    finally:
        box.close()


def test_a_closed_sandbox_refuses_all(make: MakeSandbox) -> None:
    box = make()
    box.close()
    for call in (lambda: box.read("a.txt"), lambda: box.write("a.txt", b""), box.reset, lambda: box.run("", timeout=1)):
        with pytest.raises(SandboxError, match="closed"):
            call()


WRITTEN = {
    "nothing": ("cat a.txt; echo new > pkg/new.py; mkdir pkg/other", []),
    "written": ("echo two > a.txt", ["a.txt"]),
    "put back": ("cp -p a.txt /tmp/a; echo two > a.txt; cp -p /tmp/a a.txt; touch -r /tmp/a a.txt", ["a.txt"]),
    "deleted and made again": ("cp gone.txt /tmp; rm gone.txt; cp /tmp/gone.txt gone.txt", ["gone.txt"]),
    "other rights": ("chmod 600 a.txt; chmod 644 a.txt", ["a.txt"]),
    "opened for writing": (": >> a.txt; exec 5<>gone.txt; exec 5>&-", ["a.txt", "gone.txt"]),
    "a folder away and back": (
        "cp -a pkg /tmp/pkg; rm -r pkg; mv /tmp/pkg pkg",
        ["pkg/deep/low.py", "pkg/mod.py"],
    ),
    "a folder renamed twice": (
        "(mv -T pkg q && mv -T q pkg) 2>&1",
        ["pkg/deep/low.py", "pkg/mod.py"],
    ),
    # Whom it is closed to cannot tell what in it was written, and takes all for it.
    "a folder closed": (
        "echo two > pkg/mod.py; chmod 000 pkg",
        ["pkg/mod.py"] if os.getuid() == 0 else ["pkg/deep/low.py", "pkg/mod.py"],
    ),
    "by a link": ("ln -s /testbed/pkg /tmp/l; echo two > /tmp/l/mod.py", ["pkg/mod.py"]),
}


@pytest.mark.parametrize(("command", "expected"), WRITTEN.values(), ids=list(WRITTEN))
def test_what_was_written_is_told_even_if_it_was_put_back(make: MakeSandbox, command: str, expected: list[str]) -> None:
    with contextlib.closing(make()) as box:
        text(box, command)
        box.stop()
        assert sorted(box.written(START)) == expected


def test_a_reset_forgets_what_was_written(make: MakeSandbox) -> None:
    with contextlib.closing(make()) as box:
        text(box, "echo two > a.txt")
        box.reset()
        box.stop()
        assert box.written(START) == []
