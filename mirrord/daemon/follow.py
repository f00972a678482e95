"""Reads the manifests again when they change, and applies them.

Owns when the files are read, and the retry of a failed application. `daemon.manifests` holds what is in force, and
`daemon.applied_state` applies it.
"""

import asyncio
from dataclasses import dataclass, field

from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.notifications import Notifications
from mirrord.daemon.restarts import Restarts
from mirrord.daemon.systemd import Notifier
from mirrord.reconcile.request_rates import RequestRates
from mirrord.settings import Settings
from mirrord.sources.watch import DirectoryWatch
from mirrord.transfer.bandwidth import Bandwidth

READ_EVERY = 1.0
"""Seconds between two comparisons of the manifests' contents, with or without events."""


@dataclass(slots=True, kw_only=True)
class ManifestFollower:
    """`run` follows the files; `reload` reads everything now."""

    manifests: Manifests
    applied: AppliedState
    restarts: Restarts
    notifications: Notifications
    notifier: Notifier
    bandwidth: Bandwidth
    requests: RequestRates
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _unapplied: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Read the manifests at each event of their directories, and each second in any case."""
        async with DirectoryWatch(self.manifests.directories) as hints:
            while True:
                await self._read()
                try:
                    async with asyncio.timeout(READ_EVERY):
                        await hints.changed()
                except TimeoutError:
                    continue

    async def apply(self) -> None:
        """Apply what is in force: who is notified, then the rest."""
        await self.notifications.apply(self.manifests.current.loaded.daemon, self.manifests.statuses())
        await self.applied.apply()

    def _use(self, settings: Settings) -> None:
        """Use the limits of what runs."""
        self.bandwidth.use(settings.bandwidth)
        self.requests.use(settings.per_host_requests_per_second)

    async def reload(self) -> None:
        """Read the manifests and the files that they refer to again (SIGHUP, `POST /api/v1/reload`)."""
        self.notifier.reloading()
        try:
            await self._read(again=True)
        finally:
            self.notifier.ready()

    async def _read(self, *, again: bool = False) -> None:
        """Read the manifests and the stores' keys and certificates, and apply what changed."""
        async with self._reading:
            if await self.manifests.read(again=again) or self._unapplied or self.applied.unreviewed:
                self._unapplied = True  # if applying fails, the next call tries again
                self._use(self.restarts.compare(self.manifests.current.loaded.daemon))
                await self.apply()
                self._unapplied = False
        await self.applied.renew_stores(again=again)
        if again:
            self.applied.lists.read_again()
