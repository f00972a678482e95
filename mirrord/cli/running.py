"""Running an async program to its end from a command: the event loop, and signals that ask it to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_TURN = 0.001
"""Seconds until a thread that computes lets the loop have the interpreter: with Python's 5 ms, an answer that takes
the loop ten turns would come 50 ms late while a folder is scanned."""


def run(program: Coroutine[Any, Any, T]) -> T:
    """Run `program` on uvloop where there is one. SIGTERM cancels it like Ctrl-C: KeyboardInterrupt is raised."""
    sys.setswitchinterval(_TURN)
    factory = None
    if sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_stoppable(program))


async def _stoppable(program: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(program)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped:
            raise KeyboardInterrupt from None
        raise


def leave() -> None:
    """End the process at once and as it stands, with success; what was printed is out. From any thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
