"""How fast an interpreter of the host runs: one that was compiled by hand takes up to twice as long as one of a
distribution, which is optimised by profiles, and most of an episode is an interpreter's time.
"""

import contextlib
import os
import subprocess
import uuid
from functools import cache
from pathlib import Path

from tasks.home import home
from tasks.record import digest_json

_WORK = """
import time

class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right

def work():
    found = {}
    for number in range(20_000):
        pair = Pair(number, str(number))
        found[pair.right] = found.get(pair.left, 0) + len(pair.right)
    return found

def once():
    begun = time.process_time()
    work()
    return time.process_time() - begun

print(min(once() for _ in range(7)))
"""


@cache
def seconds_of(executable: Path) -> float:
    """Processor seconds of a fixed piece of work, measured once and kept: what it is compared with must not change from
    one process to the next.

    Raises:
        OSError, subprocess.SubprocessError, ValueError: it cannot be run.
    """
    stamp = executable.stat()
    kept = home() / "interpreters" / digest_json([str(executable), stamp.st_mtime_ns, stamp.st_size, _WORK])[:20]
    with contextlib.suppress(OSError, ValueError):
        return float(kept.read_text())
    command = [str(executable), "-I", "-S", "-c", _WORK]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env={"PATH": os.defpath})
    seconds = float(done.stdout)
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
    beside.write_text(f"{seconds}\n")
    beside.rename(kept)
    return seconds
