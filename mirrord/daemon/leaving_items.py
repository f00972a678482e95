"""Items that left the manifests in force: the deletions that are due, while the daemon runs.

Owns the pause between the change of a manifest and the first deletion, during which another change may bring an item
back (an entry that is moved to another file with a second command), and the end of deletions that are not due any more.
The scheduler's check of the item deletes the object. The rules are in `reconcile.leaving`.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mirrord.aio import cooperatively
from mirrord.daemon.manifests import Manifests
from mirrord.manifest.identity import LoadedFiles, invalid_texts, manifest_identity
from mirrord.model import Item
from mirrord.planning.decisions.leaving import LoadedEntries
from mirrord.planning.items.entries_in_force import entries_in_force, files_with_entries
from mirrord.planning.items.in_force import InForce
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.ports import Clock
from mirrord.reconcile.leaving import Leaving, LeftItems
from mirrord.scheduling.scheduler import Scheduler
from mirrord.status import FileStatus

PAUSE = 5.0
"""Seconds."""


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
    _found: LeftItems = field(default_factory=LeftItems, init=False)
    _entries: dict[str, str] = field(default_factory=dict, init=False)
    """The entry of each item that left."""
    _due: dict[str, Item] = field(default_factory=dict, init=False)
    """Items that are not yet given to the scheduler."""
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __contains__(self, item_id: str) -> bool:
        """Whether the item left, and its object is still there: the record stays in force until it is not."""
        return item_id in self._entries

    def entry_of(self, item_id: str) -> str | None:
        """The entry that the item left; None: it did not leave."""
        return self._entries.get(item_id)

    async def review(self, items: Mapping[str, Item], incomplete: Iterable[str]) -> None:
        """Compare what is held with `items`, all items in force. `incomplete`: entries of lists that were not read
        completely. Raises JournalError."""
        found = await self._reviewed(items, frozenset(incomplete))
        await self._withdraw(found)
        entries = {one.item.id: one.item.entry async for one in cooperatively(found)}
        self._found, self._entries = found, entries
        due = [one async for one in cooperatively(found.allowed) if not self._is_given(one.item)]
        self._due = {one.item.id: one.item for one in due}
        await self.leaving.note(replace(found, allowed=due))
        if self._due:
            self._news.set()

    async def run(self) -> None:
        """Give due items to the scheduler until cancelled."""
        while True:
            await self._news.wait()
            while self._news.is_set():
                self._news.clear()
                await self.clock.sleep(PAUSE)
            async for item_id in cooperatively(list(self._due)):
                item = self._due.pop(item_id, None)
                if item is not None:
                    await self.scheduler.submit(item)

    def _is_given(self, item: Item) -> bool:
        known = self.scheduler.item(item.id)
        return known is not None and known.gone

    async def _reviewed(self, items: Mapping[str, Item], incomplete: frozenset[str]) -> LeftItems:
        files, statuses = self.manifests.current.expansion.files, self.manifests.statuses()
        if not any(share.prunes for share in files) and not await self.leaving.any_held():
            return LeftItems()
        now = await asyncio.to_thread(_loaded_entries, self.manifests.current, statuses, incomplete)
        return await self.leaving.review(DaemonItems(items), now)

    async def _withdraw(self, found: LeftItems) -> None:
        """End the deletions that are not due any more."""
        allowed = {one.item.id async for one in cooperatively(found.allowed)}
        ended = {one.item.entry async for one in cooperatively(self._found.allowed) if one.item.id not in allowed}
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
