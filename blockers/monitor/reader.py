"""Shell text read apart from the host: the grammar is native code, and what a policy writes must not end the trainer.

One child process a host process, started on first use; it is ended where a text takes it too long, started anew
where it died, and goes when its parent does. One text at a time; safe to use from threads and after a fork.
"""

import atexit
import os
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from blockers.monitor.invocation import Invocation
from blockers.monitor.reader_child import HEADER, LIMITS, decode, encode_text

MAX_TEXT = 200_000
"""Longest text that is read; agents write a few kilobytes."""

REPLY_SECONDS = 30.0
"""Longest wait for a reply; the child ends itself well before that by the processor time it takes."""

_KEPT, _KEPT_TEXT = 512, 4000
"""Texts whose reading is kept, and how long one may be."""

_ROOM = 1 << 16


class UnreadableError(ValueError):
    """The reader died, hung or was overrun by a text; nothing is known of what it does."""


class ShellReader:
    """See the module.

    Args:
        command: starts the child; None starts the grammar's.
    """

    def __init__(self, command: list[str] | None = None) -> None:
        self._command = command or [sys.executable, "-P", "-m", "blockers.monitor.reader_child"]
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._kept: OrderedDict[str, list[Invocation]] = OrderedDict()

    def read(self, text: str) -> list[Invocation]:
        """The invocations of a shell text, as ``shell.read_shell`` gives them.

        Raises:
            UnreadableError: see there.
        """
        text = text[:MAX_TEXT]
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
            found = self._ask(text)
            if found is None:
                raise UnreadableError("nested beyond what can be followed")
            if len(text) <= _KEPT_TEXT:
                self._kept[text] = found
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return found

    def close(self) -> None:
        """End the child; the next text starts another."""
        with self._lock:
            self._end()

    def forget_after_fork(self) -> None:
        """In a forked process: the child is the parent's, and no thread holds the lock any more."""
        child, self._child = self._child, None
        self._lock = threading.Lock()
        if child:
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()
            child.returncode = 0  # nothing here to wait for

    def _ask(self, text: str) -> list[Invocation] | None:
        """One question and its answer. A child that was dead before is replaced: the text is not to blame."""
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = self._start()
        try:
            return decode(_exchange(self._child, encode_text(text)))
        except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
            self._end()
            raise UnreadableError(f"the reader of shell text failed ({type(error).__name__}: {error})") from error
        except BaseException:  # an interrupt half way: what the child still has to say belongs to no question
            self._end()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            start_new_session=True,  # Ctrl-C is the host's
        )

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()


def _exchange(child: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Send a request and read the reply, in bounded time and size.

    Raises:
        OSError: the child is gone, or took too long.
        EOFError: it went away half way.
    """
    assert child.stdin
    assert child.stdout
    deadline = time.monotonic() + REPLY_SECONDS
    while request:
        _wait(deadline, [], [child.stdin.fileno()])
        request = request[os.write(child.stdin.fileno(), request[: select.PIPE_BUF]) :]
    size = HEADER.unpack(_read(child.stdout.fileno(), HEADER.size, deadline))[0]
    if size > LIMITS.reply:
        raise OSError(f"answered {size} bytes")
    return _read(child.stdout.fileno(), size, deadline)


def _read(stream: int, size: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _wait(deadline, [stream], [])
        part = os.read(stream, min(_ROOM, size - len(parts)))
        if not part:
            raise EOFError("it died")
        parts += part
    return bytes(parts)


def _wait(deadline: float, reads: list[int], writes: list[int]) -> None:
    poll = select.poll()
    for stream in reads:
        poll.register(stream, select.POLLIN)
    for stream in writes:
        poll.register(stream, select.POLLOUT)
    if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
        raise TimeoutError(f"no answer within {REPLY_SECONDS:g} seconds")


READER = ShellReader()
"""The one of this process."""

os.register_at_fork(after_in_child=READER.forget_after_fork)
atexit.register(READER.close)
