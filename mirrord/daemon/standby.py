"""Replicas that do not have the state in PostgreSQL: a daemon that waits for it, and `mirrord worker`.

Both work for the process that has it (`worker`). They answer probes, and refuse everything else. A daemon that waits is
not ready, so that a load balancer sends requests to the process that has the state.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

from mirrord.aio import drain
from mirrord.daemon.systemd import Notifier, keep_watchdog
from mirrord.daemon.worker import STARTING, Replica
from mirrord.engine.clock import SystemClock
from mirrord.engine.descriptors import descriptors
from mirrord.errors import JournalError, JournalLocked
from mirrord.events import DaemonReady, DaemonStandby
from mirrord.journal.lock import StateLock
from mirrord.settings import listen_host
from mirrord.web.access import Access
from mirrord.web.hosts import hosts_of
from mirrord.web.server import Server
from mirrord.web.standby import standby_application


@asynccontextmanager
async def standing_by(
    held: JournalLocked, replica: Replica, patience: AbstractContextManager[None]
) -> AsyncIterator[None]:
    """While the block waits for the state. Raises ListenFailed."""
    with patience:
        why = f"standby: {held}"
        async with _answering(replica, why, lambda: why) as url:
            replica.observer(DaemonStandby(url=url, pid=os.getpid(), holder=str(held)))
            async with _beside(replica, "standby", lambda _: None):
                yield


async def working(replica: Replica) -> None:
    """Work until cancelled, and never have the state. Raises JournalError if the state can have no workers,
    JournalLocked if another mirrord uses the state directory, ListenFailed."""
    settings, problem = replica.settings, deque([STARTING], maxlen=1)
    if settings.database is None:
        raise JournalError(
            f"the state {settings.journal} has no workers: they share one in PostgreSQL (docs/postgresql.md); set "
            "daemon.state, --state or MIRRORD_STATE to postgresql://…"
        )
    descriptors()
    with StateLock(settings.directory):
        async with _answering(replica, "a worker serves no page and no API", lambda: problem[-1]) as url:
            replica.observer(DaemonReady(url=url, pid=os.getpid()))
            async with _beside(replica, "worker", problem.append):
                await asyncio.Event().wait()


@asynccontextmanager
async def _beside(replica: Replica, status: str, said: Callable[[str], object]) -> AsyncIterator[None]:
    """Work during the block, and notify systemd."""
    notifier = Notifier(replica.environ)
    notifier.ready(status)  # else systemd ends a start that takes as long as the other process lives
    watchdog = asyncio.create_task(keep_watchdog(notifier, lambda: None, SystemClock()))
    work = asyncio.create_task(replica.work(said))
    try:
        yield
    finally:
        await drain([watchdog, work])


@asynccontextmanager
async def _answering(replica: Replica, why: str, not_ready: Callable[[], str]) -> AsyncIterator[str]:
    """The URL; empty if `listen` is none."""
    settings = replica.settings
    if settings.listen == "none":
        yield ""
        return
    hosts = hosts_of(listen_host(settings.listen), socket.gethostname(), settings.hosts)
    app = standby_application(Access(settings.api_token, settings.read_token, hosts), why, not_ready)
    async with Server(settings.listen, app) as web:
        yield web.url
