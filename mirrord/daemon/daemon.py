"""The running daemon: start of the work, counts, orderly stop.

Owns everything between the first applied manifest and the end of the last transfer. `daemon.run` opens and closes its
parts.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.control import Controller
from mirrord.daemon.follow import ManifestFollower
from mirrord.daemon.supervise import Supervisor
from mirrord.daemon.systemd import Notifier, keep_watchdog
from mirrord.engine.wiring import Engine
from mirrord.errors import JournalError
from mirrord.events import DaemonReady, DaemonStopping, TransferEvent, TransferInterrupted
from mirrord.ports import Observer
from mirrord.scheduling.shared_checks import MOST_SHARED
from mirrord.settings import Settings
from mirrord.telemetry.metrics import Metrics

_log = getLogger(__name__)

COUNT_EVERY, COUNT_AT_LEAST_EVERY = 2.0, 30.0
"""Seconds between two counts of the items by state: the longer a count takes, the more, as `COUNT_REST` says."""
COUNT_REST = 100
CHECKS = 48
"""Checks at a time beside the transfers: long transfers must not delay the checks of other items."""
UNDO = 5.0
"""Seconds at the end of the grace, at most half of it, for undoing unfinished transfers."""
CLOSE = 1.0
"""Seconds at the end of the grace, at most a sixth of it, for closing."""


@dataclass(slots=True, kw_only=True)
class Daemon:
    """Everything that is open while the daemon runs."""

    settings: Settings
    engine: Engine
    applied: AppliedState
    follower: ManifestFollower
    supervisor: Supervisor
    controller: Controller
    metrics: Metrics
    notifier: Notifier
    observer: Observer
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to end the daemon."""

    # ── startup ───────────────────────────────────────────────────────────────────────────────────
    async def start(self, url: str) -> None:
        """Apply the manifests, start the work, and report that the daemon is ready."""
        slots = self.settings.transfers + CHECKS
        if (shared := self.applied.shared) is not None:
            await shared.begin()
            self.supervisor.start("tickets", shared.run)
            slots += MOST_SHARED
        await self.follower.apply()
        self.supervisor.start("work", lambda: self.applied.scheduler.run(slots), finite=True)
        self.supervisor.start("manifests", self.follower.run)
        self.supervisor.start("prune", self.applied.leaving.run)
        self.supervisor.start("sweep", self.engine.sweeper.run)
        self.supervisor.start("totals", self.count)
        self.supervisor.start("stale items", self.controller.stale.run)
        self.supervisor.start("watchdog", self.notify_watchdog, finite=True)
        self.notifier.ready(f"serving at {url}" if url else "running")
        self.observer(DaemonReady(url=url, pid=os.getpid()))

    # ── main loop ─────────────────────────────────────────────────────────────────────────────────
    async def count(self) -> None:
        """Keep the totals for metrics up to date."""
        while True:
            try:
                await self.controller.check_journal()
                began = self.engine.clock.monotonic()
                counts = await self.controller.counts()
                pause = max(COUNT_EVERY, COUNT_REST * (self.engine.clock.monotonic() - began))
            except JournalError:  # logged by the controller
                await self.engine.clock.sleep(COUNT_EVERY)
                continue
            self.notifier.status(", ".join(f"{count} {state.value}" for state, count in counts.items()) or "no items")
            await self.engine.clock.sleep(min(pause, COUNT_AT_LEAST_EVERY))

    async def notify_watchdog(self) -> None:
        """Notify systemd while the event loop runs and no background task fails."""
        await keep_watchdog(self.notifier, self.supervisor.problem, self.engine.clock)

    # ── shutdown ──────────────────────────────────────────────────────────────────────────────────
    async def finish(self) -> bool:
        """Start no new work; running transfers end, or are undone, within the grace. False if some did not, because a
        store or a source does not answer; the next start recovers them as after kill -9."""
        grace = self.settings.shutdown_grace
        self.controller.stopping = True
        if self.applied.shared is not None:
            self.applied.shared.close()
        self.notifier.stopping()
        self.observer(DaemonStopping(grace=grace))
        undo, close = min(UNDO, grace / 2), min(CLOSE, grace / 6)
        ending = asyncio.create_task(self.applied.scheduler.stop(grace - undo))
        await asyncio.wait([ending], timeout=grace - close)
        if not ending.done():
            self._abandon(self.controller.board.unfinished())
            return False
        await ending
        await self.engine.sweeper.report()
        return True

    def _abandon(self, transfers: Sequence[TransferEvent]) -> None:
        """The terminal event of each transfer that the end of the process cuts off: no other event of it follows."""
        _log.warning("the grace is over and %d transfers still wait for an answer: they are left", len(transfers))
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
