"""`mirrord run`: startup, main loop, shutdown; in this order in the file.

Owns the order of opening, and what SIGTERM, SIGINT and SIGHUP mean for the daemon. `Process` receives the signals.
`daemon.daemon` does the work between startup and shutdown.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from logging import getLogger
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.board import Board
from mirrord.daemon.control import Controller
from mirrord.daemon.daemon import CHECKS, Daemon
from mirrord.daemon.folder_loops import FolderLoops
from mirrord.daemon.follow import ManifestFollower
from mirrord.daemon.health import Health
from mirrord.daemon.leaving_items import LeavingItems
from mirrord.daemon.list_loops import ListLoops
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.notifications import Notifications
from mirrord.daemon.picture import Totals
from mirrord.daemon.presence import registered
from mirrord.daemon.restarts import Restarts
from mirrord.daemon.restores import RequestedRestores
from mirrord.daemon.stale_items import StaleItems
from mirrord.daemon.standby import standing_by, working
from mirrord.daemon.supervise import Supervisor
from mirrord.daemon.systemd import Notifier
from mirrord.daemon.worker import Replica
from mirrord.engine.daemon_block import daemon_settings
from mirrord.engine.descriptors import descriptors
from mirrord.engine.wiring import DAEMON_RETRIES, Engine, engine
from mirrord.errors import ManifestError
from mirrord.events import DaemonStopped
from mirrord.folders.after_upload import AfterUpload
from mirrord.notify.client import WebhookClient
from mirrord.ports import Observer
from mirrord.reconcile.batched_checks import BatchedChecks
from mirrord.reconcile.leaving import Leaving
from mirrord.scheduling.queue import LocalQueue
from mirrord.scheduling.scheduler import Scheduler
from mirrord.scheduling.shared_checks import SharedChecks
from mirrord.settings import Settings, listen_host, resolve
from mirrord.telemetry.fanout import Observers
from mirrord.telemetry.metrics import Metrics, Readings
from mirrord.transfer.budget import Budget
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.connections import connections_of
from mirrord.web.hosts import hosts_of
from mirrord.web.server import Server

_log = getLogger(__name__)

Flags = Mapping[str, str | None]
NO_FLAGS: Flags = MappingProxyType({})
SHORTEST_GRACE = 1.0
"""Least seconds for closing."""


class Process(Protocol):
    """The signals and the end of the process that the daemon runs in. Implemented by `cli`."""

    def handling(
        self, *, stop: Callable[[], object], within: float, reload: Callable[[], object]
    ) -> AbstractContextManager[None]:
        """SIGTERM and SIGINT call `stop` once, from another thread, and end the process after `within` seconds in any
        case; SIGHUP, also an earlier one, calls `reload`."""

    def patience(self, within: float) -> AbstractContextManager[None]:
        """After SIGTERM and SIGINT, which cancel the program, it may take this number of seconds to end."""

    def exit_now(self) -> None:
        """End the process at once, without cleanup, with success. From any thread."""


async def serve(
    paths: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    observers: Observers,
    process: Process,
    flags: Flags = NO_FLAGS,
) -> None:
    """Run until SIGTERM or SIGINT. `settings` were resolved from `flags`, `environ` and the manifests.

    A transfer that does not end within the grace ends with the process, as after kill -9: the next start recovers it.

    With a state in PostgreSQL that another process has, it waits for it (`standby`).

    Raises ManifestError if there are manifests and none is valid, JournalLocked and other JournalErrors, ListenFailed.
    """
    patience = process.patience(_grace(settings))
    async with (
        startup(paths, settings, environ, observers, flags, patience) as daemon,
        listening(daemon, settings) as url,
    ):
        with registered(settings.directory, url):
            await daemon.start(url)
            async with signals(daemon, process):
                await daemon.stop.wait()
                ended = await daemon.finish()
        if not ended:  # closing would wait for a store or a source that does not answer
            observers(DaemonStopped())
            process.exit_now()
    observers(DaemonStopped())


@asynccontextmanager
async def startup(
    paths: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    observers: Observers,
    flags: Flags,
    patience: AbstractContextManager[None] | None = None,
) -> AsyncIterator[Daemon]:
    """Everything but the web server, open; no work has started. `patience`: held while it waits as a standby."""
    restarts = Restarts(lambda block: resolve(flags, environ, daemon_settings(block)))
    replica = Replica(paths, settings, environ, observers)
    waiting = partial(standing_by, replica=replica, patience=patience or nullcontext())
    async with (
        engine(settings, {}, observers, DAEMON_RETRIES, standby=waiting) as opened,
        WebhookClient(opened.clock, allow=settings.network_allow) as client,
        Supervisor(opened.clock) as supervisor,
    ):
        manifests = Manifests(paths, environ, opened.clock, observers)
        notifications = Notifications(
            outbox=opened.journal.outbox,
            client=client,
            supervisor=supervisor,
            observers=observers,
            clock=opened.clock,
            healthy=lambda: daemon.controller.works(),
        )
        daemon = assembled(opened, manifests, restarts, notifications, settings, environ, observers)
        await manifests.read()
        restarts.compare(manifests.current.loaded.daemon)
        files = manifests.statuses()
        if files and not any(file.in_force for file in files):
            raise ManifestError([problem for file in files for problem in file.problems])
        if not files:
            _log.warning("there is no manifest in %s yet: nothing to do until there is one", ", ".join(paths))
        yield daemon


def assembled(
    opened: Engine,
    manifests: Manifests,
    restarts: Restarts,
    notifications: Notifications,
    settings: Settings,
    environ: Mapping[str, str],
    observers: Observers,
) -> Daemon:
    """The daemon's parts put together. Pure wiring."""
    supervisor = notifications.supervisor
    proxies = {"sources": opened.used_proxies, "webhooks": notifications.client.used_proxies}
    breakers = opened.reconciler.breakers
    health = Health(
        opened.clock,
        proxies,
        lambda: opened.stores.proxies,
        lambda: breakers.calls.limits,
        lambda: breakers.statuses(opened.clock),
    )
    board = Board(opened.clock)
    queue, notifier = opened.queue, Notifier(environ)
    applied = _applied_state(opened, manifests, supervisor, queue, health, observers, settings.transfers + CHECKS)
    totals = Totals(opened.journal, opened.clock, applied.folders.waiting, board.unfinished)
    follower = ManifestFollower(
        manifests=manifests,
        applied=applied,
        restarts=restarts,
        notifications=notifications,
        notifier=notifier,
        bandwidth=opened.budget.bandwidth,
        requests=breakers.requests,
    )
    controller = _controller(opened, applied, board, health, totals, follower, observers)
    metrics = Metrics(_readings(controller, opened.budget, settings.directory))
    observers.add(health, board, metrics)
    return Daemon(
        settings=settings,
        engine=replace(opened, sweeper=replace(opened.sweeper, check=applied.trigger)),
        applied=applied,
        follower=follower,
        supervisor=supervisor,
        controller=controller,
        metrics=metrics,
        notifier=notifier,
        observer=observers,
    )


def _controller(
    opened: Engine,
    applied: AppliedState,
    board: Board,
    health: Health,
    totals: Totals,
    follower: ManifestFollower,
    observer: Observer,
) -> Controller:
    stale = StaleItems(
        journal=opened.journal,
        item_of=applied.scheduler.item,
        fresh_at=health.fresh_at,
        observer=observer,
        clock=opened.clock,
    )
    return Controller(
        applied=applied,
        notifications=follower.notifications,
        stale=stale,
        journal=opened.journal,
        board=board,
        health=health,
        totals=totals,
        started=opened.clock.now(),
        read_again=follower.reload,
    )


def _applied_state(
    opened: Engine,
    manifests: Manifests,
    supervisor: Supervisor,
    queue: LocalQueue,
    health: Health,
    observer: Observer,
    slots: int,
) -> AppliedState:
    checks = BatchedChecks(
        checks=opened.reconciler, batches=opened.file_batches, listings=opened.listings, apart=queue.apart
    )
    after_upload = replace(opened.after_upload, reconciler=checks)
    shared = _shared_checks(opened, after_upload, health, slots)
    restores = RequestedRestores((shared or after_upload).reconcile, opened.restoration, opened.stores.of)
    scheduler = Scheduler(
        reconcile=restores.reconcile,
        queue=queue,
        journal=opened.journal,
        clock=opened.clock,
        released=opened.released,
    )
    folders = FolderLoops(
        scheduler=scheduler,
        after_upload=after_upload,
        files=opened.files,
        arrivals=checks,
        journal=opened.journal,
        supervisor=supervisor,
        observer=observer,
        clock=opened.clock,
    )
    leaving = Leaving(opened.journal, observer, opened.clock)
    return AppliedState(
        shared=shared,
        manifests=manifests,
        scheduler=scheduler,
        restores=restores,
        leaving=LeavingItems(manifests=manifests, scheduler=scheduler, leaving=leaving, clock=opened.clock),
        folders=folders,
        lists=ListLoops(source_of=opened.list_source, supervisor=supervisor, clock=opened.clock),
        stores=opened.stores,
        files=opened.files,
        listings=opened.listings,
        journal=opened.journal,
        health=health,
        clock=opened.clock,
    )


def _shared_checks(opened: Engine, checks: AfterUpload, health: Health, slots: int) -> SharedChecks | None:
    """Checks that workers may take over; None: there can be no workers."""
    if opened.tickets is None:
        return None
    return SharedChecks(
        checks=checks.reconcile,
        tickets=opened.tickets,
        clock=opened.clock,
        slots=slots,
        apart=lambda: opened.queue.waiting_apart,
        only_here=lambda item: opened.listings.doubts(item.id),
        ended=health.ended_elsewhere,
    )


def _readings(controller: Controller, budget: Budget, state: Path) -> Readings:
    health, folders = controller.health, controller.applied.folders
    return Readings(
        items=lambda: controller.totals.last,
        staleness=health.staleness,
        stores=health.stores,
        folders=lambda: {one.name: one.watching for one in folders.statuses()},
        folders_up=lambda: {one.name: one.complete for one in folders.statuses() if one.last_scan or not one.complete},
        folder_scans=lambda: {one.name: one.last_scan for one in folders.statuses() if one.last_scan is not None},
        buffer_bytes=lambda: budget.in_use,
        queue_items=controller.applied.scheduler.due,
        journal_works=lambda: controller.journal_problem is None,
        disk_free=lambda: _free(state),
    )


def _free(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:  # removed
        return None


@asynccontextmanager
async def listening(daemon: Daemon, settings: Settings) -> AsyncIterator[str]:
    """The web server of the daemon and its URL, empty if `listen` is none. Closes last: /readyz reports the stop."""
    if settings.listen == "none":
        yield ""
        return
    hosts = hosts_of(listen_host(settings.listen), socket.gethostname(), settings.hosts)
    access = Access(settings.api_token, settings.read_token, hosts)
    app = application(daemon.controller, daemon.metrics.render, access)
    async with Server(settings.listen, app, connections=connections_of(descriptors())) as web:
        yield web.url


@asynccontextmanager
async def signals(daemon: Daemon, process: Process) -> AsyncIterator[None]:
    """SIGTERM and SIGINT stop, SIGHUP reloads. The deadline counts from the signal, not from the moment when the event
    loop handles it: the process ends within the grace also if the loop hangs."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(daemon.follower.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    with process.handling(
        stop=partial(loop.call_soon_threadsafe, daemon.stop.set),
        within=_grace(daemon.settings),
        reload=partial(loop.call_soon_threadsafe, reload),
    ):
        yield


def _grace(settings: Settings) -> float:
    return max(settings.shutdown_grace, SHORTEST_GRACE)


async def serve_worker(
    paths: Sequence[str], settings: Settings, environ: Mapping[str, str], observers: Observers, process: Process
) -> None:
    """`mirrord worker`: take tickets until SIGTERM or SIGINT, and never lead. Raises JournalLocked, ListenFailed, and
    JournalError for a state that has no workers."""
    with process.patience(_grace(settings)):
        await working(Replica(paths, settings, environ, observers))
