"""Snapshots: what carries over to the sandboxes that start from one, what does not, and what is left in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import SandboxError
from agent_env.sandbox import overlay
from agent_env.sandbox.base import Sandbox, SandboxBackend, Snapshot
from tests.conformance.commands import MakeSandbox, text

PREFIX = (
    "echo two > a.txt; rm gone.txt; mkdir -p made/deep; echo m > made/deep/f; rm -r pkg; "
    "mkdir pkg; echo n > pkg/new.py; echo t > /tmp/t; echo h > ~/.hidden; "
    "cd made; export SHOWN='a b'; plain=1; (setsid sleep 300 &)"
)
CHANGES = {
    "a.txt": b"two\n",
    "gone.txt": None,
    "made/deep/f": b"m\n",
    "pkg/new.py": b"n\n",
    "pkg/mod.py": None,
    "pkg/deep/low.py": None,
}


@pytest.fixture(scope="module")
def origin(make: MakeSandbox) -> Iterator[Sandbox]:
    sandbox = make()
    text(sandbox, PREFIX)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def snapshot(origin: Sandbox) -> Iterator[Snapshot]:
    frozen = origin.snapshot()
    yield frozen
    frozen.close()


@pytest.fixture(scope="module")
def fork(backend: SandboxBackend, snapshot: Snapshot) -> Iterator[Sandbox]:
    sandbox = backend.create(snapshot.spec)
    yield sandbox
    sandbox.close()


@pytest.fixture
def anew(fork: Sandbox) -> Sandbox:
    fork.reset()
    return fork


def test_the_files_carry_over(anew: Sandbox) -> None:
    shown = text(anew, "cat /testbed/a.txt deep/f /tmp/t ~/.hidden; ls /testbed /testbed/pkg", cwd="/testbed/made")
    assert shown.split() == [
        *("two", "m", "t", "h"),
        *("/testbed:", "a.txt", "image.bin", "link", "made", "pkg", "/testbed/pkg:", "new.py"),
    ]


def test_the_shells_directory_and_exported_variables_carry_over(anew: Sandbox) -> None:
    assert text(anew, 'pwd; echo "$SHOWN,$plain"') == "/testbed/made\na b,\n"


def test_processes_do_not_carry_over(anew: Sandbox) -> None:
    assert text(anew, "grep -l ^sleep /proc/[0-9]*/cmdline || true") == ""


def test_the_first_sandbox_goes_on_as_before(origin: Sandbox, snapshot: Snapshot) -> None:
    assert text(origin, "echo $plain; pwd; grep -l ^sleep /proc/[0-9]*/cmdline | wc -l") == "1\n/testbed/made\n1\n"


def test_changes_are_against_the_original_start(anew: Sandbox) -> None:
    assert anew.changes() == CHANGES
    text(anew, "cd /testbed; echo one > a.txt; rm made/deep/f; echo 'to be deleted' > gone.txt; echo x > more")
    expected = {path: CHANGES[path] for path in ("pkg/new.py", "pkg/mod.py", "pkg/deep/low.py")}
    assert anew.changes() == {**expected, "more": b"x\n"}
    assert "+x" in anew.diff()
    assert "two" not in anew.diff()


def test_a_fork_of_a_fork_holds_both(anew: Sandbox, backend: SandboxBackend) -> None:
    text(anew, "cd /testbed; echo three > a.txt; rm -r made; echo t2 > /tmp/t2")
    again = anew.snapshot()
    box = backend.create(again.spec)
    again.close()
    try:
        assert text(box, "cat a.txt /tmp/t /tmp/t2; test -e made || echo gone") == "three\nt\nt2\ngone\n"
        expected = {path: content for path, content in CHANGES.items() if not path.startswith("made")}
        assert box.changes() == {**expected, "a.txt": b"three\n"}
    finally:
        box.close()


def test_forks_see_nothing_of_each_other(anew: Sandbox, snapshot: Snapshot, backend: SandboxBackend) -> None:
    other = backend.create(snapshot.spec)
    try:
        text(anew, "echo mine > /testbed/a.txt; echo mine > /tmp/t")
        assert text(other, "cat /testbed/a.txt /tmp/t") == "two\nt\n"
    finally:
        other.close()


def test_reset_of_a_fork_comes_back_to_the_snapshot(fork: Sandbox) -> None:
    text(fork, "rm -rf /testbed/* /tmp/* ~/.hidden")
    fork.reset()
    assert text(fork, "cat /testbed/a.txt /tmp/t ~/.hidden") == "two\nt\nh\n"


def test_later_changes_of_the_first_sandbox_are_not_in_it(make: MakeSandbox, backend: SandboxBackend) -> None:
    box = make()
    text(box, "echo early > f")
    frozen = box.snapshot()
    text(box, "echo late > f")
    box.close()
    other = backend.create(frozen.spec)
    frozen.close()
    try:
        assert text(other, "cat f") == "early\n"
    finally:
        other.close()


@pytest.fixture
def forked(make: MakeSandbox, backend: SandboxBackend, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A fork of a sandbox that ran the command given as parameter."""
    box = make()
    text(box, request.param)
    frozen = box.snapshot()
    box.close()
    fork = backend.create(frozen.spec)
    frozen.close()
    yield fork
    fork.close()


@pytest.mark.parametrize("forked", ["rm -r pkg; mkdir pkg"], indirect=True)
def test_what_a_fork_makes_again_as_it_was_is_no_change(forked: Sandbox) -> None:
    assert forked.changes() == {"pkg/mod.py": None, "pkg/deep/low.py": None}
    text(forked, "echo 'X = 1' > pkg/mod.py")
    assert forked.changes() == {"pkg/deep/low.py": None}


@pytest.mark.parametrize("forked", ["ln -s loop loop; ln -s / root"], indirect=True)
def test_links_that_a_fork_replaces_are_not_followed(forked: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    monkeypatch.setattr(overlay, "list_files", lambda root: listed.append(root) or [])
    text(forked, "rm loop root; mkdir loop root root/etc; echo x > loop/f; echo x > root/proc; echo x > root/etc/f")
    assert forked.changes() == {"loop/f": b"x\n", "root/proc": b"x\n", "root/etc/f": b"x\n"}
    assert listed == []


def test_a_stopped_sandbox_can_be_frozen(make: MakeSandbox, backend: SandboxBackend) -> None:
    box = make()
    text(box, "echo x > f; cd /tmp")
    box.stop()
    frozen = box.snapshot()
    box.close()
    other = backend.create(frozen.spec)
    frozen.close()
    try:
        assert text(other, "pwd; cat f") == "/testbed\nx\n"
    finally:
        other.close()


def test_it_is_removed_with_its_last_user_and_refused_from_then_on(make: MakeSandbox, backend: SandboxBackend) -> None:
    box = make()
    frozen = box.snapshot()
    folder = Path(frozen.folder)
    other = backend.create(frozen.spec)
    frozen.close()
    box.close()
    assert folder.is_dir()
    other.close()
    assert not folder.exists()
    with pytest.raises(SandboxError, match="closed"):
        backend.create(frozen.spec)


def test_a_closed_sandbox_cannot_be_frozen(make: MakeSandbox) -> None:
    box = make()
    box.close()
    with pytest.raises(SandboxError, match="closed"):
        box.snapshot()


def test_to_close_one_twice_takes_it_from_nobody(origin: Sandbox, backend: SandboxBackend) -> None:
    frozen = origin.snapshot()
    fork = backend.create(frozen.spec)
    try:
        frozen.close()
        frozen.close()
        fork.reset()
        assert text(fork, "cat /testbed/a.txt") == "two\n"
    finally:
        fork.close()
    assert not frozen.folder.exists()
    with pytest.raises(SandboxError, match="closed"):
        frozen.hold()


def test_what_is_closed_to_its_owner_carries_over_as_closed(make: MakeSandbox, backend: SandboxBackend) -> None:
    box = make()
    text(box, "mkdir -p /tmp/w/shut/in; cd /tmp/w; echo in > shut/in/text; echo out > file")
    text(box, "cd /tmp/w; ln -s /etc/passwd link; mkdir fixed; touch fixed/file")
    text(box, "cd /tmp/w; chmod 010 file; chmod 500 fixed; chmod 300 shut/in; chmod 000 shut")
    frozen = box.snapshot()
    other = backend.create(frozen.spec)
    frozen.close()
    try:
        for here in (other, box):
            assert text(here, "stat -c %a shut file", cwd="/tmp/w") == "0\n10\n"
            assert text(here, "chmod 700 shut; stat -c %a shut/in", cwd="/tmp/w") == "300\n"
            assert text(here, "chmod 700 shut/in file; cat shut/in/text file", cwd="/tmp/w") == "in\nout\n"
    finally:
        other.close()
        box.close()


def test_folders_that_are_closed_themselves_carry_over(make: MakeSandbox, backend: SandboxBackend) -> None:
    box = make()
    text(box, "echo t > /tmp/t; echo h > ~/h; echo x > x; chmod 000 /tmp ~ /testbed")
    frozen = box.snapshot()
    other = backend.create(frozen.spec)
    frozen.close()
    try:
        for here in (other, box):
            assert here.run("chmod 700 /tmp ~ /testbed; cat /tmp/t ~/h /testbed/x", timeout=20).output == "t\nh\nx\n"
    finally:
        other.close()
        box.close()
