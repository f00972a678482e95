"""The manifests, read again when they change, and applied.

Owns when the files are read, and that what could not be applied is tried again. Leaves to `daemon.manifests` what is in
force, and to `daemon.applied_state` how that is applied.
"""

import asyncio
from dataclasses import dataclass, field

from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.restarts import Restarts
from mirrord.daemon.systemd import Notifier
from mirrord.sources.watch import Watch

LOOK_EVERY = 1.0
"""Seconds between two comparisons of the manifests' contents, with or without events."""


@dataclass(slots=True, kw_only=True)
class ManifestFollower:
    """`run` follows the files; `reload` reads everything now."""

    manifests: Manifests
    applied: AppliedState
    restarts: Restarts
    notifier: Notifier
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _unapplied: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Read the manifests when an event says so, and each second in any case."""
        async with Watch(self.manifests.directories) as hints:
            while True:
                await self._read()
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await hints.changed()
                except TimeoutError:
                    continue

    async def reload(self) -> None:
        """Read everything again, also what manifests refer to (SIGHUP, `POST /api/v1/reload`)."""
        self.notifier.reloading()
        try:
            await self._read(again=True)
        finally:
            self.notifier.ready()

    async def _read(self, *, again: bool = False) -> None:
        """Read the manifests and the stores' keys and certificates, and apply what changed."""
        async with self._reading:
            if await self.manifests.look(again=again) or self._unapplied:
                self._unapplied = True  # if applying fails, the next call tries again
                self.restarts.compare(self.manifests.current.loaded.daemon)
                await self.applied.apply()
                self._unapplied = False
        await self.applied.renew_stores(again=again)
