"""The process that reads shell text for ``reader.py``: ``python -m blockers.monitor.reader_child``.

Length, then JSON, both ways. It ends by itself: when a text takes too much processor time or memory (the kernel sees to
that, native code included), when its input ends, and when its parent is another process than at the start.
"""

import json
import os
import resource
import select
import signal
import struct
import sys
from typing import Any, BinaryIO, NamedTuple

from blockers.monitor.invocation import Invocation, Redirect

HEADER = struct.Struct(">I")


class _Limits(NamedTuple):
    """Of one text."""

    cpu_seconds: float = 5.0
    memory_bytes: int = 1 << 30
    reply: int = 64 << 20
    """Bytes of a reply."""


LIMITS = _Limits()

_IDLE_SECONDS = 2.0
"""How often an idle child looks for its parent."""


def encode_text(text: str) -> bytes:
    """A request; the grammar gets ASCII alone, so no more is sent."""
    data = text.encode("ascii", errors="replace")
    return HEADER.pack(len(data)) + data


def decode(reply: bytes) -> list[Invocation] | None:
    """The invocations of a reply; None where the text was nested too deeply."""
    shown = json.loads(reply)
    return None if shown is None else [_invocation(one) for one in shown]


def main() -> None:
    """Serve until the parent is gone."""
    from blockers.monitor.shell import read_shell

    parent = os.getppid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (LIMITS.memory_bytes, LIMITS.memory_bytes))
    source, sink = os.fdopen(0, "rb", buffering=0), sys.stdout.buffer
    while _is_asked(source, parent):
        header = _exactly(source, HEADER.size)
        text = _exactly(source, HEADER.unpack(header)[0]).decode("ascii")
        signal.setitimer(signal.ITIMER_PROF, LIMITS.cpu_seconds)
        try:
            reply = json.dumps([_shown(found) for found in read_shell(text)])
        except RecursionError:
            reply = "null"
        signal.setitimer(signal.ITIMER_PROF, 0)
        sink.write(HEADER.pack(len(reply)) + reply.encode())
        sink.flush()


def _is_asked(source: BinaryIO, parent: int) -> bool:
    """Wait for input; False once the parent is gone."""
    while not select.select([source], [], [], _IDLE_SECONDS)[0]:
        if os.getppid() != parent:
            return False
    return True


def _exactly(source: BinaryIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.read(size - len(parts))
        if not part:
            raise SystemExit
        parts += part
    return bytes(parts)


def _shown(found: Invocation) -> list[Any]:
    return [
        found.words,
        dict(found.variables),
        found.redirects,
        found.stdin,
        found.feeds,
        found.background,
        found.forever,
    ]


def _invocation(shown: list[Any]) -> Invocation:
    words, variables, redirects, stdin, feeds, background, forever = shown
    return Invocation(
        words=tuple(words),
        variables=variables,
        redirects=tuple(Redirect(*redirect) for redirect in redirects),
        stdin=stdin,
        feeds=feeds,
        background=background,
        forever=forever,
    )


if __name__ == "__main__":
    main()
