"""One folder's deletions while it is watched: after each whole scan that is trusted, items whose files are gone are
submitted.

Owns the pause between the scan and the deletions (`settle` and more: editors remove files for a moment, and a renamed
file is copied from the object that will be deleted), and the problem that is shown while the guard blocks deletions.
Runs beside the folder's loop, so that new files do not wait for it. The scheduler's check of the item deletes the
object.
"""

import asyncio
from collections.abc import Callable

from mirrord.errors import JournalError
from mirrord.folders.missing import MissingFiles, refused
from mirrord.folders.ports import Submit, Taken
from mirrord.planning.decisions.prune import ScannedItems
from mirrord.ports import Clock

RENAMED = 1.0
"""Seconds in addition to `settle`: by then, a file that the same scan found under a new name is settled, and its object
is copied from the old one."""


class Pruning:
    """`await pruning.run()`; `offer` what each scan saw. `claimed`: whether a waiting file claims the item's object."""

    def __init__(
        self, missing: MissingFiles, submit: Submit, taken: Taken, claimed: Callable[[str], bool], clock: Clock
    ) -> None:
        self.missing = missing
        self._submit = submit
        self._taken = taken
        self._claimed = claimed
        self._clock = clock
        self._seen: ScannedItems | None = None
        self._news = asyncio.Event()
        self.problem: str | None = None
        """Why objects of missing files are not deleted; None if they are."""

    def offer(self, seen: ScannedItems) -> None:
        """Take what a trusted whole scan saw. It replaces an earlier scan that was not processed yet."""
        self._seen = seen
        self._news.set()

    async def run(self) -> None:
        """Process the scans until cancelled. After an error of the journal, the next scan tries again."""
        while True:
            await self._news.wait()
            self._news.clear()
            seen, self._seen = self._seen, None
            if seen is None:
                continue
            try:
                await self._prune(seen)
            except JournalError as error:
                self.problem = f"nothing is deleted: {error}"

    async def _prune(self, seen: ScannedItems) -> None:
        gone = await self.missing.find(seen)
        if gone.item_ids:
            await self._clock.sleep(self.missing.spec.times.settle + RENAMED)
            gone = await self.missing.find(seen)
        self.problem = refused(gone, self.missing.spec.prune_most)
        if self.problem:
            await self.missing.block(gone, self.problem)
            return
        await self.missing.keep_root(seen.root)
        async for item, record in self.missing.items(gone):
            if not self._claimed(item.id) and not await self._taken(item, None, record):
                await self._submit(item)
