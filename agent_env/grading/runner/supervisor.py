"""Runs the tests' process and tells the host what it reported.

Started inside a grading sandbox by an isolated interpreter. Nothing of the graded repository is imported here. What
this process says is believed because it is signed with a key that only it has read: the request file is deleted before
the tests start, and this process may not be inspected or traced by others of its user (PR_SET_DUMPABLE, and the
sandbox's system-call filter). The key itself is never said, as the way to the host is not safe: code under test can
open the shell's end of that pipe, read the report and write another one. What the *tests'* process reports can be
forged by the code under test; random sentinel tests among the expected ids are there for that.
"""

import ctypes
import os
import sys

try:
    from _blake2 import blake2b  # hashlib gives the same, but loads all of OpenSSL first
except ImportError:
    from hashlib import blake2b

PR_SET_DUMPABLE = 4
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
"""As on every Linux; the modules ``signal``, ``subprocess`` and ``json`` take longer to load than all that is done."""

TAIL = 6000
"""Bytes of the tests' own output that are shown where they reported nothing."""


def main() -> int:
    """Read the request, run the tests, print a signed report.

    The request: key, label and the variables of the tests' process, each with a NUL after it; one NUL more; and what
    that process reads from its standard input. The report: the label alone on a line; exit status and length of the
    results in characters; the results; the end of what was printed; the label and the signature of all between.

    Returns:
        1 if the tests' process was killed, so that the sandbox tells whether its memory limit did that; else 0.
    """
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    request_path, child_path, said_path = sys.argv[1:]
    with open(request_path, "rb") as file:
        head, request = file.read().split(b"\0\0", 1)
    os.unlink(request_path)
    key, label, *variables = head.split(b"\0")
    environment = dict(variable.split(b"=", 1) for variable in variables)
    reader, writer = os.pipe()
    with open(said_path, "wb") as said:
        pid, requests = _start(child_path, environment, writer, said.fileno())
    os.close(writer)
    with open(requests, "wb") as file:
        file.write(request)
    with open(reader, "rb") as file:
        results = file.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _end_group(pid)
    with open(said_path, "rb") as said:
        said.seek(max(os.path.getsize(said_path) - TAIL, 0))
        tail = said.read().decode(errors="replace")
    report = f"{status} {len(results)}\n{results}{tail}".encode()
    signature = blake2b(report, key=key).hexdigest().encode()
    sys.stdout.buffer.write(b"\n%b\n%b\n%b %b\n" % (label, report, label, signature))
    sys.stdout.buffer.flush()
    return int(status < 0)


def _start(path: str, environment: "dict[bytes, bytes]", results: int, said: int) -> "tuple[int, int]":
    """Start the tests' process in a session of its own; its id, and where its request is to be written.

    It inherits its three streams and the descriptor ``results``, and no other.
    """
    reader, writer = os.pipe()
    os.set_inheritable(results, True)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, path, str(results)],
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, old, new) for old, new in ((reader, 0), (said, 1), (said, 2))],
        setsid=True,
        setsigdef=(SIGPIPE, SIGXFSZ),
    )
    os.close(reader)
    return pid, writer


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
