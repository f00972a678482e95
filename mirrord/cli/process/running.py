"""Runs an async program from a command: the event loop, and signals that stop it.

The loop runs in its own thread. The main thread only waits, so that it handles signals also while the loop hangs.
"""

import asyncio
import ctypes
import logging
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

from mirrord.cli.process.signals import process
from mirrord.telemetry.event_logger import LibraryFormatter
from mirrord.telemetry.redaction import Line

T = TypeVar("T")

STOP_WITHIN = 25.0
"""Seconds for a command that is stopped to undo unfinished work."""
START_WITHIN = 2.0
"""Seconds until a daemon ends that has not started its work: there is nothing to undo."""
_M_ARENA_MAX = -8  # malloc.h
_TURN = 0.001
"""Seconds until a computing thread must release the interpreter. With Python's 5 ms, a response that needs ten steps of
the loop would be 50 ms late during the scan of a folder."""


def run(program: Coroutine[Any, Any, T], *, within: float = STOP_WITHIN) -> T:
    """Run `program` on uvloop. SIGTERM and Ctrl-C cancel it: KeyboardInterrupt is raised."""
    sys.setswitchinterval(_TURN)
    _share_malloc_arena()
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LibraryFormatter(_plain))
    stop, result = _Stop(), Future[T]()
    with process.handling(stop=stop, within=within):
        Thread(target=_run_into, args=(result, _stoppable(program, stop)), name="loop", daemon=True).start()
        return process.wait_for(result)


def run_daemon(program: Coroutine[Any, Any, T]) -> T:
    """As `run`, until the daemon installs its own handling of signals."""
    return run(program, within=START_WITHIN)


def _plain(line: Line) -> str:
    """A log line of a command without a log: what libraries and asyncio report."""
    return "\n".join(str(line[name]) for name in ("event", "exception") if name in line)


def _share_malloc_arena() -> None:
    """One arena of glibc's malloc for all threads. With one for each, memory that the thread of a manifest's first
    version released is not used for the next version: 37 MiB with 60,000 mirrors."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_M_ARENA_MAX, 1)


class _Stop:
    """Cancels a task when called, also if the task does not exist yet."""

    def __init__(self) -> None:
        self.asked = False
        self._cancel: Callable[[], object] | None = None

    def __call__(self) -> None:
        self.asked = True
        if self._cancel is not None:
            self._cancel()

    def applies_to(self, task: asyncio.Task[Any]) -> None:
        loop = task.get_loop()
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self.asked:
            task.cancel()


def _run_into(result: Future[T], program: Coroutine[Any, Any, T]) -> None:
    import uvloop  # here, so that signals are handled before it is loaded

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            value = runner.run(program)
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        result.set_exception(error)
    else:
        result.set_result(value)


async def _stoppable(program: Coroutine[Any, Any, T], stop: _Stop) -> T:
    task = asyncio.ensure_future(program)
    stop.applies_to(task)
    try:
        return await task
    except asyncio.CancelledError:
        if stop.asked:
            raise KeyboardInterrupt from None
        raise
