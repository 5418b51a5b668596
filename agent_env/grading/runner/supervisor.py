"""Runs the tests' process and tells the host what it reported.

Started inside a grading sandbox by an isolated interpreter. Nothing of the graded repository is imported here. What
this process says is believed because it begins with a secret that only it has read: the request file is deleted before
the tests start, and this process may not be inspected or traced by others of its user (PR_SET_DUMPABLE, and the
sandbox's system-call filter). What the *tests'* process reports can be forged by the code under test; random sentinel
tests among the expected ids are there for that.
"""

import ctypes
import json
import os
import sys

PR_SET_DUMPABLE = 4
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
"""As on every Linux; the modules ``signal`` and ``subprocess`` take longer to load than all that is done here."""

TAIL = 6000
"""Bytes of the tests' own output that are shown where they reported nothing."""


def main() -> int:
    """Read the request, run the tests, print one line: the secret and a JSON report.

    Returns:
        1 if the tests' process was killed, so that the sandbox tells whether its memory limit did that; else 0.
    """
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    request_path, child_path, said_path = sys.argv[1:]
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    os.unlink(request_path)
    secret = request.pop("secret")
    reader, writer = os.pipe()
    with open(said_path, "wb") as said:
        pid, requests = _start(child_path, request.pop("environment"), writer, said.fileno())
    os.close(writer)
    with open(requests, "wb") as file:
        file.write(json.dumps(request).encode())
    with open(reader, "rb") as results:
        lines = results.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _end_group(pid)
    with open(said_path, "rb") as said:
        said.seek(max(os.path.getsize(said_path) - TAIL, 0))
        tail = said.read().decode(errors="replace")
    report = {"status": status, "results": [line.decode(errors="replace") for line in lines], "said": tail}
    print(f"\n{secret} {json.dumps(report)}", flush=True)  # noqa: T201
    return int(status < 0)


def _start(path: str, environment: "dict[str, str]", results: int, said: int) -> "tuple[int, int]":
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
