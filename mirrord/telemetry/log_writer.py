"""Writes log lines to a file descriptor: a bounded queue, and a thread that empties it.

Callers never wait for the reader of a pipe. Lines that do not fit into the queue are dropped and counted. The count
also has the lines that a full disk or a closed pipe refused; it is reported once the queue is empty. The thread writes
to the descriptor, not to a buffered stream: Python aborts at exit if a daemon thread holds the lock of such a stream.
"""

import os
import select
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

QUEUED = 4 * 1024 * 1024
"""Limit of the queue in characters: about 15,000 lines."""
_PIECE = 64 * 1024
"""Characters of one write: the default capacity of a pipe."""
STALLED = 1.0
"""Seconds without progress after which draining ends."""
LONGEST_DRAIN = 10.0


class LogWriter:
    """`write` whole lines from any thread. `dropped(lines)` is called in the writing thread and may call `write`."""

    def __init__(self, descriptor: int, dropped: Callable[[int], None], *, limit: int = QUEUED) -> None:
        self._descriptor = descriptor
        self._report = dropped
        self._limit = limit
        self._changed = Condition()
        self._lines: deque[str] = deque()
        self._size = 0  # characters in the queue
        self._full = False  # until the queue is empty, so that the log has one gap instead of many
        self._unreported = 0
        self._writing = False
        self._pieces = 0
        self._thread: Thread | None = None

    def write(self, text: str) -> None:
        """Queue the text; drop it if the queue is full."""
        with self._changed:
            if self._full or self._size + len(text) > self._limit:
                self._full = True
                self._unreported += 1
                return
            self._lines.append(text)
            self._size += len(text)
            if len(self._lines) == 1:  # else the thread knows
                self._start()
                self._changed.notify_all()

    def drain(self, seconds: float = LONGEST_DRAIN, stalled: float = STALLED) -> bool:
        """Wait until everything is written. False if nothing was read for `stalled` seconds, or `seconds` passed."""
        with self._changed:
            for _ in range(max(1, round(seconds / stalled))):
                if self._changed.wait_for(self._idle, stalled):
                    return True
                if not self._advanced() and not _takes(self._descriptor, 0):
                    return False
        return False

    def _idle(self) -> bool:
        return not self._lines and not self._writing

    def _advanced(self) -> bool:
        before, self._pieces = self._pieces, 0
        return before > 0

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name="log", daemon=True)
            self._thread.start()

    # ── in the writing thread ─────────────────────────────────────────────────────────────────────
    def _work(self) -> None:
        while True:
            piece = self._take()
            written = self._put("".join(piece).encode("utf-8", "backslashreplace"))
            if lost := self._done(len(piece), written=written):
                self._report(lost)
                self._reported()

    def _take(self) -> list[str]:
        """The next lines, about as much as a pipe holds."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines)
            piece, size = [self._lines.popleft()], 0
            while self._lines and (size := size + len(piece[-1])) < _PIECE:
                piece.append(self._lines.popleft())
            self._size -= sum(map(len, piece))
            self._writing = True
            return piece

    def _done(self, lines: int, *, written: bool) -> int:
        """How many lost lines to report now: 0 until the queue is empty and a write succeeded."""
        with self._changed:
            self._pieces += 1
            if not written:
                self._unreported += lines
            lost = 0
            if not self._lines:
                self._full = False
                if written:
                    lost, self._unreported = self._unreported, 0
            self._writing = lost > 0
            self._changed.notify_all()
            return lost

    def _reported(self) -> None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()

    def _put(self, content: bytes) -> bool:
        """Write all of it; False if the descriptor refuses: a full disk, a pipe without a reader."""
        rest = memoryview(content)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                _takes(self._descriptor, None)
            except OSError:
                return False
        return True


def _takes(descriptor: int, milliseconds: int | None) -> bool:
    """Whether the descriptor becomes writable within that time; None: no limit."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return bool(waiting.poll(milliseconds))
