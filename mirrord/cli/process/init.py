"""Process 1 of a container: a small parent that forwards signals and reaps orphans; mirrord itself is its child.

A process whose parent has ended becomes a child of process 1, and stays a zombie until process 1 reads its exit status.
A separate parent does that; in mirrord itself it could take the exit codes of mirrord's own children from the code that
waits for them.
"""

import os
import signal
from contextlib import suppress

_FORWARDED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_AWAITED = _FORWARDED | {signal.SIGCHLD}
_SI_KERNEL = 0x80  # siginfo(2): a terminal sent it, to the whole process group and so to the child as well


def fork_as_init() -> None:
    """As process 1, fork: return in the child, and serve it in the parent until it ends. Else do nothing.

    Call it before any thread starts.
    """
    if os.getpid() != 1:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    child = os.fork()
    if child:
        os._exit(_serve(child))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(child: int) -> int:
    """The child's exit code, as a shell reports it."""
    while (code := _reap(child)) is None:
        received = signal.sigwaitinfo(_AWAITED)
        if received.si_signo in _FORWARDED and received.si_code != _SI_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(child, received.si_signo)
    return code


def _reap(child: int) -> int | None:
    """Reap all ended processes; the exit code of `child` if it is one of them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
