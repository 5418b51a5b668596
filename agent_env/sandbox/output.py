"""Output of a command under a size limit: the beginning and the end are kept, the middle is dropped and counted."""

import time


class BoundedOutput:
    """Takes bytes as they come and never holds more than about ``limit`` of them.

    Args:
        limit: most bytes of output that ``text`` shows; half from the beginning, half from the end.
    """

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self.touched = time.monotonic()
        """When the last bytes came."""

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if data:
            self.touched = time.monotonic()
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        excess = len(self._tail) - self._half
        if excess > self._half:  # trimmed in steps, so that a flood costs linear time
            del self._tail[:excess]
            self._dropped += excess

    @property
    def cut(self) -> int:
        """Bytes that ``text`` lacks."""
        return self._dropped + max(len(self._tail) - self._half, 0)

    def text(self) -> str:
        """All that was kept, with a line that says how much is missing; invalid UTF-8 is replaced."""
        if not self.cut:
            return (self._head + self._tail).decode(errors="replace")
        head = self._head.decode(errors="replace")
        tail = self._tail[-self._half :].decode(errors="replace")
        return f"{head}\n[... {self.cut} bytes cut ...]\n{tail}"
