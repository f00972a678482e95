"""What systemd is told: ready, reloading, status, stopping, and the watchdog; nothing where no systemd asks.

Owns the datagrams of sd_notify(3) over $NOTIFY_SOCKET, without a library. Refuses to fail or to hold up the daemon:
what cannot be sent is logged once. When to say what is `daemon.run`'s.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from logging import getLogger

from mirrord.ports import Clock

_log = getLogger(__name__)

_PATIENCE = 0.2  # seconds; systemd reads at once, or is in no state to
_LONGEST_STATUS = 1000  # characters


class Notifier:
    """Tells the service manager what the daemon does. Without $NOTIFY_SOCKET every call does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._complained = False
        self.watchdog_interval = _watchdog_interval(environ) if self._address else None
        """Seconds within which systemd wants to hear of a healthy daemon; None: it does not."""

    def ready(self, status: str = "") -> None:
        """Started, or done with a reload."""
        self._send("READY=1", _status(status))

    def reloading(self, status: str = "") -> None:
        """A reload begins; `ready` ends it. The time is what Type=notify-reload asks for (sd_notify(3))."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", _status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def stopping(self, status: str = "") -> None:
        """No new work from here on."""
        self._send("STOPPING=1", _status(status))

    def alive(self) -> None:
        """Push the watchdog's deadline back."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line for line in lines if line).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
                one.settimeout(_PATIENCE)
                one.sendto(message, self._address)
        except OSError as error:
            if not self._complained:
                _log.warning("systemd cannot be told (%s): %s", error, message.decode().splitlines()[0])
            self._complained = True


async def keep_watchdog(notifier: Notifier, problem_of: Callable[[], str | None], clock: Clock) -> None:
    """Tell systemd twice within its deadline that the daemon lives, for as long as `problem_of` finds nothing wrong.

    A loop that does not turn gets here as little as one whose self-check fails: systemd restarts either. Returns at
    once where no watchdog is asked for.
    """
    if notifier.watchdog_interval is None:
        return
    complaint: str | None = None
    while True:
        problem = problem_of()
        if problem and not complaint:
            _log.error("the self-check fails, systemd's watchdog is not fed until it passes: %s", problem)
        complaint = problem
        if not problem:
            notifier.alive()
        await clock.sleep(notifier.watchdog_interval / 2)


def _address(name: str) -> str | None:
    """The socket's address: a path, or with `@` in front a name in Linux's abstract namespace; None for others."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """$WATCHDOG_USEC in seconds, if it is meant for this process ($WATCHDOG_PID; sd_watchdog_enabled(3))."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) > 0 else None


def _status(text: str) -> str:
    """One line: whatever follows a line break would be a message of its own."""
    line = " ".join(text.split())[:_LONGEST_STATUS]
    return f"STATUS={line}" if line else ""
