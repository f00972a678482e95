"""SIGTERM, SIGINT and SIGHUP, from the start of the process to its end.

Owns what each signal does at each moment. Before there is work that must end in order, SIGTERM and SIGINT end the
process at once, and SIGHUP is kept for later. Python runs signal handlers in the main thread. `running` runs the event
loop in another thread, so that signals are handled, and the deadline counts, also while the loop hangs. The main thread
waits on a pipe that every signal writes to, because the kernel may interrupt any thread.

Imports nothing of mirrord but exit codes: the handlers are installed before anything else is loaded.
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

if TYPE_CHECKING:  # this import would take longer than all others here
    from concurrent.futures import Future

T = TypeVar("T")

_DAEMONS = frozenset({"run", "worker", "demo"})
"""For these commands the end by a signal is a success, and SIGHUP means reload."""
_STDERR = 2


_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The first line of `__main__` blocks them, so that they wait for `install`, also across an exec."""


class SignalActions(NamedTuple):
    """The effects of signals during some work."""

    stop: Callable[[], object]
    within: float
    reload: Callable[[], object] | None


class Signals:
    """The signals of this process. Call `install` first; enter `handling` for the time of some work."""

    def __init__(self) -> None:
        self._daemon = False
        self._actions: SignalActions | None = None
        self._stopping = False
        self._reload_requested = False
        self.before_exit: Callable[[], object] = lambda: None
        """Called first by `exit_now`: it writes the log, within a time limit."""

    def install(self, arguments: Sequence[str]) -> None:
        """Install the handlers for the command that these arguments name. Call it in the main thread."""
        self._daemon = next((one for one in arguments if not one.startswith("-")), "") in _DAEMONS
        signal.signal(signal.SIGTERM, self._on_stop)
        if self._daemon or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._on_stop)
        if self._daemon:
            signal.signal(signal.SIGHUP, self._on_hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)

    @contextmanager
    def handling(
        self, *, stop: Callable[[], object], within: float, reload: Callable[[], object] | None = None
    ) -> Iterator[None]:
        """The first SIGTERM or SIGINT calls `stop`, and ends the process after `within` seconds if it still runs then;
        a second one ends it at once. SIGHUP, also an earlier one, calls `reload` if it is given."""
        before, self._actions = self._actions, SignalActions(stop, within, reload)
        if reload is not None and self._reload_requested:
            self._reload_requested = False
            reload()
        try:
            yield
        finally:
            self._actions = before

    @contextmanager
    def patience(self, within: float) -> Iterator[None]:
        """The work of `handling` may take this number of seconds to end."""
        before = self._actions
        if before is not None:
            self._actions = before._replace(within=within)
        try:
            yield
        finally:
            self._actions = before

    def wait_for(self, result: "Future[T]") -> T:
        """Wait for the result; signals are handled meanwhile. Call it in the main thread."""
        reading, writing = os.pipe()  # stays open: a signal may arrive until the process ends
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        result.add_done_callback(lambda _: os.write(writing, b"."))
        while not result.done():
            os.read(reading, 4096)
        return result.result()

    def exit_now(self) -> None:
        """End the process at once, without cleanup: with success if it is a daemon. From any thread."""
        self.before_exit()
        os._exit(self._code)

    @property
    def _code(self) -> int:
        return 0 if self._daemon else FAILED

    # ── handlers: Python calls them in the main thread ──────────────────────────────────────────────
    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        actions = self._actions
        if actions is None:
            self._end_at_once()
        elif self._stopping:
            _end_by_signal(number)
        else:
            self._stopping = True
            deadline = Timer(actions.within, self.exit_now)
            deadline.daemon = True
            deadline.start()
            with suppress(RuntimeError):  # the loop has just closed
                actions.stop()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        if self._actions is None or self._actions.reload is None:
            self._reload_requested = True
            return
        with suppress(RuntimeError):
            self._actions.reload()

    def _end_at_once(self) -> None:
        if not self._daemon and select.select([], [_STDERR], [], 0)[1]:
            with suppress(OSError):
                os.write(_STDERR, b"mirrord: interrupted\n")
        os._exit(self._code)


def _end_by_signal(number: int) -> None:
    """End by the default action of the signal. The kernel ignores it for process 1, which exits with a shell's code."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)


process = Signals()
