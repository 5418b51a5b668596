"""The process that starts the sandboxes of one host process; run as a script, on the standard library alone.

It is small, so that a fork of it is cheap however large the host is; it has one thread, and bubblewrap asks the kernel
to be killed with the *thread* that started it. Each fork of it does what only a process itself can do, or can do fast,
then becomes bubblewrap:

- it joins the sandbox's control groups. To move another process there takes a lock of the whole machine, which the
  kernel gives after up to 20 ms; to join by writing 0 to ``tasks`` takes none (Linux, cgroup_procs_write_start)
- it mounts a memory filesystem with a quota, in a mount namespace of its own: the host's table of mounts stays as it
  is, and the files are gone when the last descriptor is, whoever dies first
- it makes the network namespace, with nothing but a loopback, while it still waits for a request
"""

import array
import contextlib
import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from typing import TypedDict

MESSAGE_BYTES = 1 << 20
"""Longest request."""

OPEN_FILES = 4096
"""Most descriptors that a process of a sandbox may raise its limit to: all of them together must not use up the host's,
where a file that the host cannot open would look like the host's own failure.

The host's limit, and this process's, must be well above it. The kernel counts what all processes of a user have sent
through sockets and nobody has received, and lets no one send who is beyond a limit of its own (unix(7), ETOOMANYREFS).
"""

_MOST_DESCRIPTORS = 7

_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x20000, 0x10000000, 0x40000000
_DIE_WITH_PARENT = 1
_MORE, _NO_MORE = b"m", b"n"
_NO_SETUID_NO_DEVICES, _RECURSIVE, _SLAVE = 2 | 4, 0x4000, 1 << 19
_SET_FLAGS, _IS_UP = 0x8914, 1


class Request(TypedDict):
    """What the host asks for. With it come the descriptors of the sandbox's standard input, output and error, of
    bubblewrap's ``--info-fd`` and ``--block-fd``, of the answer's socket, and of the mount namespace to enter, if any.

    The answer is ``{}`` with descriptors of the process, of its folder and, where the folder has a mount of its own, of
    the mount namespace; or an object with ``error``.
    """

    program: str
    arguments: list[str]
    """bubblewrap's."""
    command: list[str]
    environment: dict[str, str]
    filter: str
    """The system-call filter, in hexadecimal; may be empty."""
    groups: list[str]
    """Files of the control groups to write 0 to."""
    file_bytes: int
    """Longest file that may be written."""
    waits: bool
    """Whether bubblewrap's child waits for a byte on ``--block-fd`` before it goes on."""
    network: bool
    """Whether it shares the host's network; else it has one of its own, with nothing but a loopback."""
    folder: str
    """Of the sandbox's files; it is there."""
    quota: str
    """Options of the memory filesystem to mount there; none is mounted where empty."""


def serve(requests: socket.socket, host: int) -> None:
    """Tell whether folders can get mounts of their own, then answer requests until the host (a pidfd) is dead, or has
    closed its end.
    """
    if os.geteuid() != 0 and _may_mount():
        _enter_own_users()
    requests.send(b"y" if _may_mount() else b"n")
    network = os.open("/proc/self/ns/net", os.O_RDONLY) if os.geteuid() == 0 else None
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel clears the dead away
    taken, take = os.pipe()
    poll = select.poll()
    poll.register(taken, select.POLLIN)
    poll.register(host, select.POLLIN)
    while True:
        # One fork ahead waits for the next request: a fork takes longer than all else here.
        if os.fork() == 0:
            _await_request(requests, take, network)
        if any(descriptor == host for descriptor, _ in poll.poll()) or os.read(taken, 1) != _MORE:
            return


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """A message with its descriptors, which no program that is started meanwhile inherits."""
    # Not socket.recv_fds: it ignores its flags (seen in Python 3.11).
    room = socket.CMSG_LEN(_MOST_DESCRIPTORS * array.array("i").itemsize)
    message, parts, _, _ = channel.recvmsg(MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in parts:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors)


def _await_request(requests: socket.socket, take: int, network: int | None) -> None:
    """Wait for a request and become what was asked for; never returns.

    Args:
        network: the host's network namespace, for a process that may come back to it; None for others, which leave it
            to bubblewrap to make one.
    """
    try:
        _check(_libc().prctl(_DIE_WITH_PARENT, signal.SIGKILL))
        is_apart = network is not None and _enter_own_network()
        message, descriptors = receive(requests)
        os.write(take, _MORE if message else _NO_MORE)
        if message:
            request: Request = json.loads(message)
            if not request["network"] and not is_apart:
                request["arguments"].insert(0, "--unshare-net")
            _become(request, descriptors, network if request["network"] else None)
    finally:
        os._exit(1)  # a fork must not return into the loop


def _become(request: Request, descriptors: list[int], network: int | None) -> None:
    """Become bubblewrap, in the network given where one is."""
    answer = socket.socket(fileno=descriptors[5])
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for file in request["groups"]:
            _write(file, "0")
        if network is not None:
            _check(_libc().setns(network, _NEW_NETWORK))
        held = [os.pidfd_open(os.getpid())]
        if descriptors[6:]:
            _check(_libc().setns(descriptors[6], _NEW_MOUNTS))
        elif request["quota"]:
            _mount(request["folder"], request["quota"])
        held.append(os.open(request["folder"], os.O_PATH | os.O_DIRECTORY))
        if request["quota"]:
            held.append(os.open("/proc/self/ns/mnt", os.O_RDONLY))
        for name in ("upper", "work", "tmp", "home"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=held[1])
        command = _command(request, *descriptors[3:5])
        for number in range(3):
            os.dup2(descriptors[number], number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        socket.send_fds(answer, [b"{}"], held)
        resource.setrlimit(resource.RLIMIT_NOFILE, _open_files())
        os.execve(request["program"], command, request["environment"])
    except OSError as error:
        answer.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())


def _open_files() -> tuple[int, int]:
    """The limits on descriptors of a sandbox's processes, soft and hard."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most // 2)
    return min(1024, most), most


def _command(request: Request, info: int, block: int) -> list[str]:
    """The command line. bubblewrap's arguments come by descriptor, and its name is bare: a command line shows inside
    the sandbox, and they name folders of the host.
    """
    os.set_inheritable(info, True)
    arguments = [*request["arguments"], "--info-fd", str(info)]
    if request["waits"]:
        os.set_inheritable(block, True)
        arguments += ["--block-fd", str(block)]
    if request["filter"]:
        arguments += ["--seccomp", str(_readable(bytes.fromhex(request["filter"])))]
    given = _readable("\0".join(arguments).encode(errors="surrogateescape") + b"\0")
    return ["bwrap", "--args", str(given), *request["command"]]


def _readable(data: bytes) -> int:
    """A descriptor to read ``data`` from, also in the program that this process becomes."""
    descriptor = os.memfd_create("data", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _mount(folder: str, options: str) -> None:
    _check(_libc().unshare(_NEW_MOUNTS))
    _check(_libc().mount(b"none", b"/", None, _RECURSIVE | _SLAVE, None))
    given = options.encode()
    _check(_libc().mount(b"repodojo", os.fsencode(folder), b"tmpfs", _NO_SETUID_NO_DEVICES, given))


def _may_mount() -> bool:
    """Whether a fork can give a folder a memory filesystem that takes an overlay's marks (Linux 6.6)."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if os.geteuid() != 0:
                _enter_own_users()
            _mount("/proc", "size=64k,mode=700")  # a folder that is there for certain; nobody else sees this
            os.setxattr("/proc", "user.repodojo", b"y")
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _enter_own_network() -> bool:
    """Enter a new network namespace and start its loopback; False where this process may not, or could not do both."""
    with contextlib.suppress(OSError):
        _check(_libc().unshare(_NEW_NETWORK))
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh22x", b"lo", _IS_UP))
        return True
    return False


def _enter_own_users() -> None:
    """Enter a user namespace in which this process may mount: the same user, by the same number."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc().unshare(_NEW_USER))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def _write(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


_loaded: list[ctypes.CDLL] = []


def _libc() -> ctypes.CDLL:
    if not _loaded:
        _loaded.append(ctypes.CDLL(None, use_errno=True))
    return _loaded[0]


def _check(result: int) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def main(arguments: Sequence[str]) -> None:
    """Serve the host whose process id and socket are given."""
    host = int(arguments[0])
    watched = os.pidfd_open(host)
    gc.disable()
    gc.freeze()  # a collection would write to every page that the forks share
    if os.getppid() == host:  # else it died, and the number may be another's
        os.chdir("/")
        os.umask(0o022)
        requests = int(arguments[1])
        os.set_inheritable(requests, False)
        serve(socket.socket(fileno=requests), watched)


if __name__ == "__main__":
    main(sys.argv[1:])
