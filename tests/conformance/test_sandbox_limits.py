"""Limits on what a sandbox uses: they hold, and the cause is told as the policy's own."""

import os
import signal
from collections.abc import Iterator

import pytest

from agent_env.sandbox.base import Limits, Sandbox, StopCause
from agent_env.sandbox.residence import FILES_VARIABLE
from tests.conformance.commands import MakeSandbox, text

DISK = 8 << 20
INODES = 300


@pytest.fixture(scope="module", params=["memory", "disk"])
def small(request: pytest.FixtureRequest, make: MakeSandbox) -> Iterator[Sandbox]:
    """A sandbox with room for few files, which lie in memory or on disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FILES_VARIABLE, request.param)
        sandbox = make(limits=Limits(disk_bytes=DISK, inodes=INODES))
    assert request.param == "memory" or not sandbox._has_quota()  # type: ignore[attr-defined]
    yield sandbox
    sandbox.close()


@pytest.fixture
def emptied(small: Sandbox) -> Sandbox:
    """The same, at its start state."""
    small.reset()
    return small


@pytest.mark.parametrize("place", ["/tmp", "/testbed", "~"])
def test_files_beyond_the_limit_are_told_as_such(emptied: Sandbox, place: str) -> None:
    done = emptied.run(f"head -c {DISK * 4} /dev/zero > {place}/big && sleep 20", timeout=15)
    assert done.stopped is StopCause.DISK_FULL
    text(emptied, f"rm {place}/big; echo ok > {place}/small")


@pytest.fixture
def held(emptied: Sandbox) -> Sandbox:
    """The same, where the kernel holds the limits."""
    if not emptied._has_quota():  # type: ignore[attr-defined]
        pytest.skip("the limits on files are only looked at here")
    return emptied


@pytest.mark.parametrize("small", ["memory"], indirect=True)
@pytest.mark.parametrize("place", ["/tmp", "/testbed", "~"])
def test_a_burst_too_short_to_be_looked_at_is_told_and_takes_no_more(held: Sandbox, place: str) -> None:
    done = held.run(f"head -c {DISK * 4} /dev/zero > {place}/big", timeout=15)
    assert done.stopped is StopCause.DISK_FULL
    assert int(text(held, f"stat -c %s {place}/big")) <= DISK


@pytest.mark.parametrize("small", ["memory"], indirect=True)
def test_a_write_for_which_there_is_no_room_leaves_the_file_as_it_was(held: Sandbox) -> None:
    held.write("kept.txt", b"old\n")
    held.run(f"head -c {DISK * 4} /dev/zero > /tmp/big", timeout=15)
    with pytest.raises(OSError, match="No space left on device"):
        held.write("kept.txt", b"x" * (DISK // 2))
    assert held.read("kept.txt") == b"old\n"
    text(held, "rm /tmp/big; echo ok")
    held.write("kept.txt", b"x" * (DISK // 2))
    held.write("kept.txt", b"new\n")
    assert held.read("kept.txt") == b"new\n"


@pytest.mark.parametrize("small", ["memory"], indirect=True)
def test_so_is_a_burst_of_files(held: Sandbox) -> None:
    assert held.run(f"touch /tmp/{{1..{INODES * 2}}}", timeout=15).stopped is StopCause.DISK_FULL
    assert int(text(held, "ls /tmp | wc -l")) < INODES + 64  # and room for our own


def test_the_limit_is_on_all_places_together(emptied: Sandbox) -> None:
    part = DISK * 2 // 5
    command = " && ".join(f"head -c {part} /dev/zero > {place}/part" for place in ("/tmp", "/testbed", "~"))
    assert emptied.run(f"{command} && sleep 20", timeout=15).stopped is StopCause.DISK_FULL


def test_files_below_the_limit_may_stay(emptied: Sandbox) -> None:
    text(emptied, f"head -c {DISK // 2} /dev/zero > /tmp/half; sleep 0.7; echo ok")


def test_more_files_than_the_limit_are_told_as_such(emptied: Sandbox) -> None:
    loop = f"for i in {{1..{INODES * 2}}}; do : > /tmp/$i; done && sleep 20"
    assert emptied.run(loop, timeout=15).stopped is StopCause.DISK_FULL


def test_a_full_sandbox_whose_processes_died_comes_back(emptied: Sandbox) -> None:
    emptied.run(
        f"head -c {DISK * 4} /dev/zero > /tmp/big; for i in {{1..{INODES * 2}}}; do : > /tmp/$i; done", timeout=3
    )
    for _ in range(3):
        first = emptied._tree.first  # type: ignore[attr-defined]
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait(10)
        emptied.run("true", timeout=5)
    assert text(emptied, "test -e /tmp/1 && rm -r /tmp/*; ls /tmp") == ""


def test_reset_makes_room_again(emptied: Sandbox) -> None:
    emptied.run(f"head -c {DISK * 4} /dev/zero > /tmp/big", timeout=15)
    emptied.reset()
    text(emptied, f"head -c {DISK // 2} /dev/zero > /tmp/half")


def test_what_the_host_writes_is_limited_too(emptied: Sandbox) -> None:
    if emptied._has_quota():  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="space"):
            emptied.write("/tmp/big", bytes(DISK * 4))
    else:  # where no kernel holds it, it is looked at while a command runs
        emptied.write("/tmp/big", bytes(DISK * 4))
        assert emptied.run("sleep 5", timeout=10).stopped is StopCause.DISK_FULL


def test_the_limit_on_processes_is_told_as_the_cause(make: MakeSandbox, python: str) -> None:
    box = make(limits=Limits(processes=30))
    try:
        assert box.run("false", timeout=5).stopped is None
        threads = "import threading, time; [threading.Thread(target=time.sleep, args=(2,)).start() for _ in range(60)]"
        assert box.run(f"{python} -c '{threads}'", timeout=20).stopped is StopCause.PROCESS_LIMIT
        assert box.run("false", timeout=5).stopped is None
        assert text(box, "echo ok").endswith("ok\n")
    finally:
        box.close()


def test_processor_time_is_limited(make: MakeSandbox, limits_cpu: bool) -> None:
    if not limits_cpu:
        pytest.skip("processor time cannot be limited here")
    box = make(limits=Limits(cpus=0.2))
    try:
        burn = "timeout 1 sh -c 'while :; do :; done' & timeout 1 sh -c 'while :; do :; done'; wait"
        said = text(box, f"TIMEFORMAT='%U %S %R'; time {{ {burn}; }}").splitlines()[-1]
        user, system, wall = map(float, said.split())
        assert user + system < 0.1 + 0.3 * wall  # two processors would give nearly twice the wall time
    finally:
        box.close()


def test_silence_ends_a_command_and_keeps_the_shell(box: Sandbox) -> None:
    text(box, "kept=yes")
    done = box.run("echo early; sleep 30", timeout=20, silence=0.4)
    assert done.output.startswith("early\n")
    assert (done.exit_code, done.stopped) == (None, StopCause.NO_OUTPUT)
    assert text(box, "echo $kept; grep -l ^sleep /proc/[0-9]*/cmdline || true") == "yes\n"


def test_a_command_that_prints_now_and_then_is_not_silent(box: Sandbox) -> None:
    done = box.run("for i in 1 2 3 4; do echo $i; sleep 0.3; done", timeout=20, silence=1)
    assert (done.exit_code, done.stopped) == (0, None)


def test_a_timeout_comes_before_a_longer_silence(box: Sandbox) -> None:
    assert box.run("sleep 30", timeout=0.3, silence=5).stopped is StopCause.TIMEOUT
