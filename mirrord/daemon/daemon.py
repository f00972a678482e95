"""The running daemon: starts work, follows its manifests, stops in order.

Owns what happens from the first applied manifest to the last ended transfer. `daemon.run` opens and closes what it
works with.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.daemon.control import Controller
from mirrord.daemon.live import Live
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.restarts import Restarts
from mirrord.daemon.supervise import Supervisor
from mirrord.daemon.systemd import Notifier, keep_watchdog
from mirrord.errors import JournalError
from mirrord.events import DaemonReady, DaemonStopping, TransferEvent, TransferInterrupted
from mirrord.ports import Clock, Observer
from mirrord.reconcile.janitor import Janitor
from mirrord.scheduling.scheduler import Scheduler
from mirrord.settings import Settings
from mirrord.sources.watch import Watch
from mirrord.telemetry.metrics import Metrics

_log = getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two comparisons of the manifests' contents, whatever events say."""
COUNT_EVERY = 2.0
"""Seconds between two counts of the items by state."""
LOOKS = 48
"""Looks at a time beside the transfers: long transfers must not keep other items from being looked at."""
UNDO = 5.0
"""Seconds of the grace, half of it at most, that are left for undoing what did not end."""
CLOSE = 1.0
"""Seconds of the grace, a sixth of it at most, that are left for closing."""


@dataclass(slots=True, kw_only=True)
class Daemon:
    """Everything that is open while the daemon runs."""

    settings: Settings
    live: Live
    scheduler: Scheduler
    janitor: Janitor
    supervisor: Supervisor
    controller: Controller
    manifests: Manifests
    metrics: Metrics
    notifier: Notifier
    observer: Observer
    clock: Clock
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: Restarts | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _unapplied: bool = False

    # ── startup ───────────────────────────────────────────────────────────────────────────────────
    async def start(self, url: str) -> None:
        """Apply what the manifests say, begin to work, and say so."""
        await self.live.apply()
        self.supervisor.start("work", lambda: self.scheduler.run(self.settings.transfers + LOOKS), finite=True)
        self.supervisor.start("manifests", self.follow)
        self.supervisor.start("sweep", self.janitor.run)
        self.supervisor.start("totals", self.count)
        self.supervisor.start("watchdog", self.feed_watchdog, finite=True)
        self.notifier.ready(f"serving at {url}" if url else "running")
        self.observer(DaemonReady(url=url, pid=os.getpid()))

    # ── main loop ─────────────────────────────────────────────────────────────────────────────────
    async def follow(self) -> None:
        """Read the manifests when an event says so, and each second in any case."""
        async with Watch(self.manifests.directories) as hints:
            while True:
                await self.look()
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await hints.changed()
                except TimeoutError:
                    continue

    async def look(self, *, again: bool = False) -> None:
        """Read the manifests and the stores' keys and certificates, and apply what changed."""
        async with self._reading:
            if await self.manifests.look(again=again) or self._unapplied:
                self._unapplied = True  # tried again by the next look, should it fail
                if self.restarts is not None:
                    self.restarts.compare(self.manifests.current.loaded.daemon)
                await self.live.apply()
                self._unapplied = False
        await self.live.renew_stores(again=again)

    async def reload(self) -> None:
        """Read everything again, also what manifests refer to (SIGHUP, `POST /api/v1/reload`)."""
        self.notifier.reloading()
        try:
            await self.look(again=True)
        finally:
            self.notifier.ready()

    async def count(self) -> None:
        """Keep the totals that metrics show."""
        while True:
            try:
                await self.controller.check_journal()
                counts = await self.controller.counts()
            except JournalError:  # said by the controller
                await self.clock.sleep(COUNT_EVERY)
                continue
            self.notifier.status(", ".join(f"{count} {state.value}" for state, count in counts.items()) or "no items")
            await self.clock.sleep(COUNT_EVERY)

    async def feed_watchdog(self) -> None:
        """For systemd: the loop turns (it got here), and nothing that must run is dead."""
        await keep_watchdog(self.notifier, self.live.unhealthy, self.clock)

    # ── shutdown ──────────────────────────────────────────────────────────────────────────────────
    async def finish(self) -> bool:
        """No new work; what runs ends, or is undone, within the grace. False if some of it did not: whatever waits for
        a store or a source that answers nothing, which a restart settles as after kill -9."""
        grace = self.settings.shutdown_grace
        self.controller.stopping = True
        self.notifier.stopping()
        self.observer(DaemonStopping(grace=grace))
        undo, close = min(UNDO, grace / 2), min(CLOSE, grace / 6)
        ending = asyncio.create_task(self.scheduler.stop(grace - undo))
        await asyncio.wait([ending], timeout=grace - close)
        if not ending.done():
            self._abandon(self.controller.board.unfinished())
            return False
        await ending
        await self.janitor.report()
        return True

    def _abandon(self, transfers: Sequence[TransferEvent]) -> None:
        """The terminal event of what is cut short in earnest: nothing of it comes to speak again."""
        _log.warning("the grace is spent and %d transfers still wait for an answer: they are left", len(transfers))
        for one in transfers:
            self.observer(
                TransferInterrupted(
                    item=one.item,
                    transfer_id=one.transfer_id,
                    kind=one.kind,
                    attempt=one.attempt,
                    duration=self.controller.board.age(one.item.id),
                    outcome="parts kept",
                )
            )
