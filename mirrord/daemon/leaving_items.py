"""Items that left the manifests in force: the deletions that are due, while the daemon runs.

Owns the pause between the change of a manifest and the first deletion, during which another change may bring an item
back (an entry that is moved to another file with a second command), and the end of deletions that are not due any more.
The scheduler's check of the item deletes the object. The rules are in `reconcile.leaving`.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from mirrord.aio import cooperatively
from mirrord.daemon.manifests import Manifests
from mirrord.errors import JournalError
from mirrord.manifest.identity import LoadedFiles, invalid_texts, manifest_identity
from mirrord.model import IdList, Item
from mirrord.planning.decisions.leaving import LoadedEntries
from mirrord.planning.items.entries_in_force import entries_in_force, files_with_entries
from mirrord.planning.items.in_force import InForce
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.ports import Clock
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.left_items import LeftItems
from mirrord.scheduling.scheduler import Scheduler
from mirrord.status import FileStatus

PAUSE = 5.0
"""Seconds."""
_BATCH = 500


class DaemonItems:
    """`DesiredItems` of the daemon: the items of mirrors and lists in force, by id."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = ItemsInForce.of(items)

    def entry_of(self, item_id: str) -> str | None:
        """See `DesiredItems`."""
        return self._items.entry_of(item_id)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """See `DesiredItems`."""
        return self._items.entries()


@dataclass(slots=True, kw_only=True)
class LeavingItems:
    """`review` after each change of the items in force; `run` beside it."""

    manifests: Manifests
    scheduler: Scheduler
    leaving: Leaving
    clock: Clock
    _found: LeftItems | None = field(default=None, init=False)
    _due: Iterator[str] = field(default_factory=lambda: iter(()), init=False)
    """The ids of the items that are not yet given to the scheduler."""
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __contains__(self, item_id: str) -> bool:
        """Whether the item left, and its object is still there: the record stays in force until it is not."""
        return self._found is not None and item_id in self._found.held

    def entry_of(self, item_id: str) -> str | None:
        """The entry that the item left; None: it did not leave."""
        return None if self._found is None else self._found.entry_of(item_id)

    async def review(self, items: Mapping[str, Item], incomplete: Iterable[str]) -> None:
        """Compare what is held with `items`, all items in force. `incomplete`: entries of lists that were not read
        completely. Raises JournalError."""
        found = await self._reviewed(items, frozenset(incomplete))
        await self._withdraw(found)
        self._found, self._due = found, iter(())
        if found is None:
            return
        due = IdList()
        async for item_id in cooperatively(await found.allowed()):
            if not self._is_given(item_id):
                due.append(item_id)
        self._due = iter(due)
        await self.leaving.note(found, due)
        if due:
            self._news.set()

    async def run(self) -> None:
        """Give due items to the scheduler until cancelled."""
        while True:
            await self._news.wait()
            while self._news.is_set():
                self._news.clear()
                await self.clock.sleep(PAUSE)
            await self._give()

    async def _give(self) -> None:
        """Give the due items to the scheduler, until another review finds what is due then."""
        found = self._found
        while found is not None and self._found is found and (some := list(islice(self._due, _BATCH))):
            try:
                items = await self.leaving.items(found, some)
            except JournalError:  # the scheduler shows it; again after the pause
                if self._found is found:
                    self._due = chain(some, self._due)
                    self._news.set()
                return
            for one in items:
                if self._found is not found:
                    return
                await self.scheduler.submit(one.item)

    def _is_given(self, item_id: str) -> bool:
        known = self.scheduler.item(item_id)
        return known is not None and known.gone

    async def _reviewed(self, items: Mapping[str, Item], incomplete: frozenset[str]) -> LeftItems | None:
        files, statuses = self.manifests.current.expansion.files, self.manifests.statuses()
        if not any(share.prunes for share in files) and not await self.leaving.any_held():
            return None
        now = await asyncio.to_thread(_loaded_entries, self.manifests.current, statuses, incomplete)
        return await self.leaving.review(DaemonItems(items), now)

    async def _withdraw(self, found: LeftItems | None) -> None:
        """End the deletions that are not due any more."""
        if self._found is None:
            return
        ended = set[str]()
        async for item_id in cooperatively(await self._found.allowed()):
            if found is None or not found.allows(item_id):
                ended.add(self._found.held[item_id].entry)
        for entry in ended:
            await self.scheduler.withdraw(entry)


def _loaded_entries(current: InForce, statuses: Sequence[FileStatus], incomplete: frozenset[str]) -> LoadedEntries:
    """What the manifests in force say. Call it in a thread: it asks the file system, and 100,000 entries take 0.1 s."""
    bad = {one.file for one in statuses if not one.valid}
    return entries_in_force(
        current.expansion,
        files=LoadedFiles(file for file in files_with_entries(current.expansion) if file not in bad),
        identity=manifest_identity,
        stores={name: store.endpoint for name, store in current.loaded.stores.items()},
        incomplete=incomplete,
        invalid=invalid_texts(one.file for one in statuses if one.problems),
    )
