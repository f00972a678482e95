"""A daemon that waits for a state in PostgreSQL which another process has: it works for that one meanwhile.

The page's address is that of the daemon later: here probes are answered, and everything else is refused. It is not
ready, so that a load balancer sends requests to the process that has the state. `worker` has the work.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from mirrord.aio import drain
from mirrord.daemon.systemd import Notifier, keep_watchdog
from mirrord.daemon.worker import work
from mirrord.engine.clock import SystemClock
from mirrord.errors import JournalLocked
from mirrord.events import DaemonStandby
from mirrord.ports import Observer
from mirrord.settings import Settings, listen_host
from mirrord.web.access import Access
from mirrord.web.hosts import hosts_of
from mirrord.web.server import Server
from mirrord.web.standby import standby_application


@asynccontextmanager
async def standing_by(
    held: JournalLocked, settings: Settings, environ: Mapping[str, str], observer: Observer, paths: Sequence[str]
) -> AsyncIterator[None]:
    """While the block waits for the state. Raises ListenFailed."""
    notifier = Notifier(environ)
    async with _answering(settings, f"standby: {held}") as url:
        notifier.ready("standby")  # else systemd ends a start that takes as long as the other process lives
        observer(DaemonStandby(url=url, pid=os.getpid(), holder=str(held)))
        watchdog = asyncio.create_task(keep_watchdog(notifier, lambda: None, SystemClock()))
        working = asyncio.create_task(work(settings, environ, observer, paths))
        try:
            yield
        finally:
            await drain([watchdog, working])


@asynccontextmanager
async def _answering(settings: Settings, why: str) -> AsyncIterator[str]:
    """The URL; empty if `listen` is none."""
    if settings.listen == "none":
        yield ""
        return
    hosts = hosts_of(listen_host(settings.listen), socket.gethostname(), settings.hosts)
    app = standby_application(Access(settings.api_token, settings.read_token, hosts), why)
    async with Server(settings.listen, app) as web:
        yield web.url
