"""Process 1 of a container: a small parent that passes signals on and reaps orphans; mirrord itself is its child.

Every process whose parent has ended becomes a child of process 1, and stays a zombie until that asks for it. A parent
of its own does that without taking the exit codes of mirrord's own children away from those who wait for them.
"""

import os
import signal
from contextlib import suppress

_FORWARDED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_AWAITED = _FORWARDED | {signal.SIGCHLD}
_SI_KERNEL = 0x80  # siginfo(2): a terminal sent it, to the whole process group and so to the child as well


def fork_as_init() -> None:
    """As process 1, return in a child, and serve it until it ends; else do nothing. Before there are threads."""
    if os.getpid() != 1:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    child = os.fork()
    if child:
        os._exit(_serve(child))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(child: int) -> int:
    """The child's exit code, as a shell says it."""
    while (code := _reap(child)) is None:
        received = signal.sigwaitinfo(_AWAITED)
        if received.si_signo in _FORWARDED and received.si_code != _SI_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(child, received.si_signo)
    return code


def _reap(child: int) -> int | None:
    """Take note of all that have ended; the code of `child` if it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
