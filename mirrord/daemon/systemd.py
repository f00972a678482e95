"""Notifications to systemd: ready, reloading, status, stopping and the watchdog.

Owns the datagrams of sd_notify(3) over $NOTIFY_SOCKET, without a library. Never fails and never delays the daemon: the
first notification that cannot be sent is logged. The callers decide when to notify.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from logging import getLogger

from mirrord.ports import Clock

_log = getLogger(__name__)

_SEND_DEADLINE = 0.2  # seconds; systemd reads at once, or does not read at all
_LONGEST_STATUS = 1000  # characters


class Notifier:
    """Notifies the service manager. Without $NOTIFY_SOCKET every call does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._failure_logged = False
        self.watchdog_interval = _watchdog_interval(environ) if self._address else None
        """Seconds within which systemd expects a notification; None: no watchdog."""

    def ready(self, status: str = "") -> None:
        """The start or a reload is complete."""
        self._send("READY=1", _status(status))

    def reloading(self, status: str = "") -> None:
        """A reload begins; `ready` ends it. Type=notify-reload needs the time (sd_notify(3))."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", _status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def stopping(self, status: str = "") -> None:
        """The daemon starts no new work."""
        self._send("STOPPING=1", _status(status))

    def alive(self) -> None:
        """Restart the watchdog's deadline."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line for line in lines if line).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
                one.settimeout(_SEND_DEADLINE)
                one.sendto(message, self._address)
        except OSError as error:
            if not self._failure_logged:
                _log.warning("systemd cannot be told (%s): %s", error, message.decode().splitlines()[0])
            self._failure_logged = True


async def keep_watchdog(notifier: Notifier, problem_of: Callable[[], str | None], clock: Clock) -> None:
    """Notify systemd twice within its deadline, for as long as `problem_of` returns None.

    Neither an event loop that hangs nor a failing self-check notifies: systemd then restarts the daemon. Returns at
    once if there is no watchdog.
    """
    if notifier.watchdog_interval is None:
        return
    reported: str | None = None
    while True:
        problem = problem_of()
        if problem and not reported:
            _log.error("the self-check fails, no notification to systemd's watchdog until it passes: %s", problem)
        reported = problem
        if not problem:
            notifier.alive()
        await clock.sleep(notifier.watchdog_interval / 2)


def _address(name: str) -> str | None:
    """The socket's address: a path, or after `@` a name in Linux's abstract namespace; None for anything else."""
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
    """One line: text after a line break would be another message."""
    line = " ".join(text.split())[:_LONGEST_STATUS]
    return f"STATUS={line}" if line else ""
