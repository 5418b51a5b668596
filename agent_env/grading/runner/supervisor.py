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
import signal
import subprocess
import sys

PR_SET_DUMPABLE = 4
TAIL = 6000
"""Bytes of the tests' own output that are shown where they reported nothing."""


def main() -> int:
    """Read the request, run the tests, print one line: the secret and a JSON report.

    Returns:
        1 if the tests' process was killed, so that the sandbox tells whether its memory limit did that; else 0.
    """
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    request_path, child_path, said_path = sys.argv[1:]
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    os.unlink(request_path)
    secret = request.pop("secret")
    reader, writer = os.pipe()
    with open(said_path, "wb") as said:
        child = subprocess.Popen(
            [sys.executable, child_path, str(writer)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            pass_fds=(writer,),
            env=request.pop("environment"),
            start_new_session=True,
        )
    os.close(writer)
    assert child.stdin is not None
    child.stdin.write(json.dumps(request).encode())
    child.stdin.close()
    with open(reader, "rb") as results:
        lines = results.read().splitlines()
    status = child.wait()
    _end_group(child.pid)
    with open(said_path, "rb") as said:
        said.seek(max(os.path.getsize(said_path) - TAIL, 0))
        tail = said.read().decode(errors="replace")
    report = {"status": status, "results": [line.decode(errors="replace") for line in lines], "said": tail}
    print(f"\n{secret} {json.dumps(report)}", flush=True)  # noqa: T201
    return int(status < 0)


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
