"""A seccomp filter as classic BPF: system calls that no build, test or agent needs and that past escapes used.

Denied calls fail with EPERM, so that a program that probes for them goes on; ``clone3`` fails with ENOSYS, so that
the C library falls back to ``clone``, whose flags a filter can see. Calls of a foreign architecture kill the process.
The list follows what Docker's default profile denies (moby, profiles/seccomp), made shorter by what user namespaces
guard anyway.
"""

import errno
import platform
import struct
from functools import cache

_LOAD, _JUMP_EQ, _JUMP_SET, _JUMP_GE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEW{TIME,NS,CGROUP,UTS,IPC,USER,PID,NET}."""

_INJECT_INPUT = 0x5412
"""TIOCSTI: types into the controlling terminal."""

_VSOCK = 40
"""AF_VSOCK: no namespace holds these sockets back, and they lead to the host of a virtual machine."""

LEASES = (1024, 1040)
"""F_SETLEASE and F_SETDELEG: who holds one, and does not answer, keeps others from opening the file for 45 seconds."""

_DENIED = {
    "x86_64": {
        "ptrace": 101, "syslog": 103, "personality": 135, "pivot_root": 155, "acct": 163, "settimeofday": 164,
        "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "iopl": 172, "ioperm": 173,
        "init_module": 175, "delete_module": 176, "quotactl": 179, "clock_settime": 227, "kexec_load": 246,
        "add_key": 248, "request_key": 249, "keyctl": 250, "perf_event_open": 298, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
        "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
        "pidfd_getfd": 438, "mount_setattr": 442,
    },
    "aarch64": {
        "umount2": 39, "mount": 40, "pivot_root": 41, "quotactl": 60, "acct": 89, "personality": 92,
        "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116,
        "ptrace": 117, "reboot": 142, "settimeofday": 170, "add_key": 217, "request_key": 218, "keyctl": 219,
        "swapon": 224, "swapoff": 225, "perf_event_open": 241, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282,
        "kexec_file_load": 294, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
        "pidfd_getfd": 438, "mount_setattr": 442,
    },
}  # fmt: skip

_FLAGGED = {
    "x86_64": {"unshare": 272, "clone": 56, "clone3": 435, "ioctl": 16, "socket": 41, "fcntl": 72},
    "aarch64": {"unshare": 97, "clone": 220, "clone3": 435, "ioctl": 29, "socket": 198, "fcntl": 25},
}  # fmt: skip
"""Calls whose first or second argument decides."""


def denied_names() -> frozenset[str]:
    """Names of the calls that are denied whatever their arguments, on any machine that has a table."""
    return frozenset(name for calls in _DENIED.values() for name in calls)


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _deny(error: int) -> bytes:
    return _op(_RETURN, _ERRNO | error)


@cache
def seccomp_program(machine: str | None = None) -> bytes:
    """The filter as ``struct sock_filter[]``, what ``bwrap --seccomp`` reads; empty on a machine it has no table for.

    Args:
        machine: ``platform.machine()`` name; this machine's where None.
    """
    machine = machine or platform.machine()
    if machine not in _DENIED:
        return b""
    calls = _FLAGGED[machine]
    program = [
        _op(_LOAD, _ARCHITECTURE),
        _op(_JUMP_EQ, _AUDIT_ARCHITECTURE[machine], yes=1),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":  # the x32 calls of the same architecture word
        program += [_op(_JUMP_GE, 0x40000000, no=1), _op(_RETURN, _KILL)]
    for number in sorted(_DENIED[machine].values()):
        program += [_op(_JUMP_EQ, number, no=1), _deny(errno.EPERM)]
    program += [_op(_JUMP_EQ, calls["clone3"], no=1), _deny(errno.ENOSYS)]
    for name in ("clone", "unshare"):
        program += [
            _op(_JUMP_EQ, calls[name], no=4),
            _op(_LOAD, _ARGUMENT_0),
            _op(_JUMP_SET, _NEW_NAMESPACES, no=1),
            _deny(errno.EPERM),
            _op(_LOAD, _NUMBER),
        ]
    program += [
        _op(_JUMP_EQ, calls["socket"], no=4),
        _op(_LOAD, _ARGUMENT_0),
        _op(_JUMP_EQ, _VSOCK, no=1),
        _deny(errno.EPERM),
        _op(_LOAD, _NUMBER),
        _op(_JUMP_EQ, calls["fcntl"], no=5),
        _op(_LOAD, _ARGUMENT_1),
        _op(_JUMP_EQ, LEASES[0], yes=1),
        _op(_JUMP_EQ, LEASES[1], no=1),
        _deny(errno.EPERM),
        _op(_LOAD, _NUMBER),
        _op(_JUMP_EQ, calls["ioctl"], no=3),
        _op(_LOAD, _ARGUMENT_1),
        _op(_JUMP_EQ, _INJECT_INPUT, no=1),
        _deny(errno.EPERM),
        _op(_RETURN, _ALLOW),
    ]
    return b"".join(program)
