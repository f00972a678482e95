"""One folder's deletions while it is watched: after each whole scan that can be trusted, what is gone is submitted.

Owns the pause between the scan and the deletions (a `settle` and more, for editors take files away for a moment, and
what was renamed is copied from the object that goes), and what is said while the guard holds them back. Beside the
folder's loop, so that nothing that arrives waits for it; the deletion itself is a look by the scheduler, in the item's
own lane.
"""

import asyncio
from collections.abc import Callable

from mirrord.errors import JournalError
from mirrord.folders.missing import MissingFiles, refused
from mirrord.folders.ports import Submit, Taken
from mirrord.planning.decisions.prune import ScannedItems
from mirrord.ports import Clock

RENAMED = 1.0
"""Seconds more: a file that the same scan found under another name is settled by then, and its object copied from the
one that goes."""


class Pruning:
    """`await pruning.run()`; `offer` what each scan saw. `claimed`: whether a file that waits has the item's object."""

    def __init__(
        self, missing: MissingFiles, submit: Submit, taken: Taken, claimed: Callable[[str], bool], clock: Clock
    ) -> None:
        self._missing = missing
        self._submit = submit
        self._taken = taken
        self._claimed = claimed
        self._clock = clock
        self._seen: ScannedItems | None = None
        self._news = asyncio.Event()
        self.problem: str | None = None
        """Why what is gone is not deleted; None if it is."""

    def offer(self, seen: ScannedItems) -> None:
        """What a whole scan saw, that can be trusted; a later one takes the place of one not yet begun with."""
        self._seen = seen
        self._news.set()

    async def run(self) -> None:
        """Follow the scans until cancelled. A journal that fails is tried again with the next."""
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
        gone = await self._missing.find(seen)
        if gone.item_ids:
            await self._clock.sleep(self._missing.spec.times.settle + RENAMED)
            gone = await self._missing.find(seen)
        self.problem = refused(gone)
        if self.problem:
            await self._missing.block(gone, self.problem)
            return
        await self._missing.keep_root(seen.root)
        async for item, record in self._missing.items(gone):
            if not self._claimed(item.id) and not await self._taken(item, record):
                await self._submit(item)
