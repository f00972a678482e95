"""SIGTERM, SIGINT and SIGHUP, from the first line of the program to its last.

Owns what each signal does at each moment. Before there is work that must end in order, SIGTERM and SIGINT end the
process at once, and SIGHUP is remembered. Python runs these functions in the main thread: `running` keeps the event
loop out of that thread, so that a signal is answered, and its deadline counts, even while the loop hangs. The main
thread waits on a pipe that every signal writes to: the kernel may interrupt any thread, not just this one.

Imports nothing of mirrord but exit codes: it is in force before anything else is loaded.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mirrord.cli.exits import FAILED

if TYPE_CHECKING:  # at run time it would cost more than everything else here
    from concurrent.futures import Future

T = TypeVar("T")

_DAEMONS = frozenset({"run", "demo"})
"""Commands whose end by a signal is a success, and for which SIGHUP means reload."""
_STDERR = 2


_HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Blocked by the first line of `__main__`, so that they wait for `install`, also across an exec."""


class Answer(NamedTuple):
    """What signals do while some work goes on."""

    stop: Callable[[], object]
    within: float
    reload: Callable[[], object] | None


class Signals:
    """The signals of this process. `install` first; `answered` while there is work."""

    def __init__(self) -> None:
        self._daemon = False
        self._answer: Answer | None = None
        self._stopping = False
        self._hung_up = False
        self.before_leaving: Callable[[], object] = lambda: None
        """What `leave` does first: it writes the log, within bounds."""

    def install(self, arguments: Sequence[str]) -> None:
        """Take the signals over, for the command that these arguments name. In the main thread."""
        self._daemon = next((one for one in arguments if not one.startswith("-")), "") in _DAEMONS
        signal.signal(signal.SIGTERM, self._stop)
        if self._daemon or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._stop)
        if self._daemon:
            signal.signal(signal.SIGHUP, self._hang_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)

    @contextmanager
    def answered(
        self, *, stop: Callable[[], object], within: float, reload: Callable[[], object] | None = None
    ) -> Iterator[None]:
        """The first SIGTERM or SIGINT calls `stop`, and ends the process after `within` seconds if it still runs then;
        a second one ends it at once. SIGHUP, also one that came before, calls `reload` if there is one."""
        before, self._answer = self._answer, Answer(stop, within, reload)
        if reload is not None and self._hung_up:
            self._hung_up = False
            reload()
        try:
            yield
        finally:
            self._answer = before

    def wait_for(self, result: "Future[T]") -> T:
        """The result, once it is there; signals are answered meanwhile. In the main thread."""
        reading, writing = os.pipe()  # stays open: a signal may come until the very end
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        result.add_done_callback(lambda _: os.write(writing, b"."))
        while not result.done():
            os.read(reading, 4096)
        return result.result()

    def leave(self) -> None:
        """End the process at once and as it stands: with success if it is a daemon. From any thread."""
        self.before_leaving()
        os._exit(self._code)

    @property
    def _code(self) -> int:
        return 0 if self._daemon else FAILED

    # ── in the main thread, between two of its steps ──────────────────────────────────────────────
    def _stop(self, number: int, _frame: FrameType | None) -> None:
        answer = self._answer
        if answer is None:
            self._end_at_once()
        elif self._stopping:
            _die(number)
        else:
            self._stopping = True
            deadline = Timer(answer.within, self.leave)
            deadline.daemon = True
            deadline.start()
            with suppress(RuntimeError):  # the loop has just closed
                answer.stop()

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        if self._answer is None or self._answer.reload is None:
            self._hung_up = True
            return
        with suppress(RuntimeError):
            self._answer.reload()

    def _end_at_once(self) -> None:
        if not self._daemon and select.select([], [_STDERR], [], 0)[1]:
            with suppress(OSError):
                os.write(_STDERR, b"mirrord: interrupted\n")
        os._exit(self._code)


def _die(number: int) -> None:
    """End as the signal does by itself. Process 1 is spared by its kernel, and exits as a shell would say it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)


process = Signals()
