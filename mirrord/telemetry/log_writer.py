"""Log lines on their way to a file descriptor: a bounded queue, and a thread that writes it.

Owns the wait for a pipe that is not read: no caller waits for it. What does not fit into the queue is dropped and
counted; the count is reported once everything queued is written, and counts what a full disk or a closed pipe refused.
Writes to the descriptor itself: a thread that holds the lock of a buffered stream would abort the process at its end.
"""

import os
import select
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

QUEUED = 4 * 1024 * 1024
"""Characters that may wait: some 15,000 lines."""
_PIECE = 64 * 1024
"""Characters written at once: what a pipe holds by default."""
STALLED = 1.0
"""Seconds without progress after which draining gives up."""
LONGEST_DRAIN = 10.0


class LogWriter:
    """`write` whole lines from any thread. `dropped(lines)` is called in the writing thread; it may write itself."""

    def __init__(self, descriptor: int, dropped: Callable[[int], None], *, limit: int = QUEUED) -> None:
        self._descriptor = descriptor
        self._report = dropped
        self._limit = limit
        self._changed = Condition()
        self._lines: deque[str] = deque()
        self._size = 0  # characters in the queue
        self._full = False  # until the queue is empty: one gap in the log, not many small ones
        self._unreported = 0
        self._writing = False
        self._pieces = 0
        self._thread: Thread | None = None

    def write(self, text: str) -> None:
        """Queue the text, or drop it."""
        with self._changed:
            if self._full or self._size + len(text) > self._limit:
                self._full = True
                self._unreported += 1
                return
            self._lines.append(text)
            self._size += len(text)
            self._start()
            self._changed.notify_all()

    def drain(self, seconds: float = LONGEST_DRAIN, stalled: float = STALLED) -> bool:
        """Wait until everything is written; False if nothing was read for `stalled`, or `seconds` passed."""
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
        """The next lines, about a pipe's worth."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines)
            piece, size = [self._lines.popleft()], 0
            while self._lines and (size := size + len(piece[-1])) < _PIECE:
                piece.append(self._lines.popleft())
            self._size -= sum(map(len, piece))
            self._writing = True
            return piece

    def _done(self, lines: int, *, written: bool) -> int:
        """How many lost lines are to be reported now: none before the queue is empty and something came through."""
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
            except BlockingIOError:  # whoever shares it with us made it non-blocking
                _takes(self._descriptor, None)
            except OSError:
                return False
        return True


def _takes(descriptor: int, milliseconds: int | None) -> bool:
    """Whether it can be written to within that time; None: wait for it."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return bool(waiting.poll(milliseconds))
