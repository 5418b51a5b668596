"""The system-call filter, run by a small interpreter of classic BPF."""

import errno
import struct

import pytest

from agent_env.sandbox.docker.profile import seccomp_profile
from agent_env.sandbox.seccomp import denied_names, seccomp_program

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
X86, ARM = 0xC000003E, 0xC00000B7


def run(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """The filter's verdict on a call, laid out as ``struct seccomp_data``."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    accumulator = at = 0
    while True:
        code, yes, no, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if holds else no


@pytest.mark.parametrize("number", [0, 1, 2, 9, 41, 57, 58, 59, 202, 231, 257, 281, 334, 500])
def test_ordinary_calls_are_allowed(number: int) -> None:
    assert run(seccomp_program("x86_64"), number, architecture=X86) == ALLOW


@pytest.mark.parametrize("number", [101, 165, 166, 155, 250, 298, 304, 308, 310, 321, 323, 425, 428, 442])
def test_dangerous_calls_give_eperm(number: int) -> None:
    assert run(seccomp_program("x86_64"), number, architecture=X86) == EPERM


def test_clone3_gives_enosys_so_that_libc_falls_back() -> None:
    assert run(seccomp_program("x86_64"), 435, architecture=X86) == ENOSYS
    assert run(seccomp_program("aarch64"), 435, architecture=ARM) == ENOSYS


@pytest.mark.parametrize(("machine", "architecture", "call"), [("x86_64", X86, 56), ("aarch64", ARM, 220)])
def test_clone_makes_processes_and_threads_but_no_namespaces(machine: str, architecture: int, call: int) -> None:
    program = seccomp_program(machine)
    for flags in (17, 0x003D0F00, 0x4111):
        assert run(program, call, flags, architecture=architecture) == ALLOW
    for flag in (0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(program, call, flag | 17, architecture=architecture) == EPERM


def test_unshare_of_namespaces_is_refused_and_of_files_is_not() -> None:
    program = seccomp_program("x86_64")
    assert run(program, 272, 0x10000000, architecture=X86) == EPERM
    assert run(program, 272, 0x400, architecture=X86) == ALLOW


def test_typing_into_the_terminal_is_refused_and_other_ioctls_are_not() -> None:
    program = seccomp_program("x86_64")
    assert run(program, 16, 0, 0x5412, architecture=X86) == EPERM
    assert run(program, 16, 0, 0x100005412, architecture=X86) == EPERM  # the kernel looks at the low half alone
    assert run(program, 16, 0, 0x5413, architecture=X86) == ALLOW


@pytest.mark.parametrize(("machine", "architecture", "call"), [("x86_64", X86, 41), ("aarch64", ARM, 198)])
def test_sockets_to_the_host_of_a_virtual_machine_are_refused(machine: str, architecture: int, call: int) -> None:
    program = seccomp_program(machine)
    assert run(program, call, 40, 1, architecture=architecture) == EPERM
    for family in (1, 2, 10, 16):
        assert run(program, call, family, 1, architecture=architecture) == ALLOW


@pytest.mark.parametrize(("machine", "architecture", "call"), [("x86_64", X86, 72), ("aarch64", ARM, 25)])
def test_leases_are_refused_and_other_uses_of_fcntl_are_not(machine: str, architecture: int, call: int) -> None:
    program = seccomp_program(machine)
    for command in (1024, 1040, 1 << 32 | 1024):
        assert run(program, call, 3, command, architecture=architecture) == EPERM
    for command in (*range(40), *range(1025, 1040)):
        assert run(program, call, 3, command, architecture=architecture) == ALLOW


def test_calls_of_another_architecture_kill() -> None:
    assert run(seccomp_program("x86_64"), 1, architecture=0x40000003) == KILL
    assert run(seccomp_program("x86_64"), 0x40000001, architecture=X86) == KILL
    assert run(seccomp_program("aarch64"), 1, architecture=X86) == KILL


def test_every_jump_stays_inside() -> None:
    for machine in ("x86_64", "aarch64"):
        program = seccomp_program(machine)
        count = len(program) // 8
        for at in range(count):
            code, yes, no, _ = struct.unpack_from("=HBBI", program, at * 8)
            if code not in (0x06, 0x20):
                assert at + 1 + max(yes, no) < count
        assert struct.unpack_from("=H", program, (count - 1) * 8)[0] == 0x06


def test_an_unknown_machine_has_no_filter() -> None:
    assert seccomp_program("m68k") == b""


def test_dockers_profile_allows_nothing_that_ours_denies() -> None:
    import json

    profile = json.loads(seccomp_profile())
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not allowed & denied_names()
    assert {"read", "execve", "clone", "openat2", "futex"} <= allowed
