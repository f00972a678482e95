"""Items that left the manifests and whose entries had `prune`: which they are, and whether the guard allows deletion.

Owns the steps of one pass: compare what is held with what is desired, hold what is desired now, and divide what left
into deletions and entries that are Blocked (PruneGuard). What an item's last holder said stays in the journal until its
object is deleted or kept for good, so that a killed process forgets none. The rules are in
`planning.decisions.leaving` and `prune`; `removal` deletes.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from itertools import chain, islice
from typing import Protocol

from mirrord.aio import cooperatively
from mirrord.frozen import frozen
from mirrord.model import Condition, Destination, FormerSource, Holder, Item, Options, Record, Schedule, State
from mirrord.planning.decisions.leaving import Fate, LoadedEntries, fate, fate_of_record, same_place, store_now
from mirrord.planning.decisions.prune import ALWAYS_FEW, SMALL, largest, prune_refusal
from mirrord.planning.lists.binding import prefix_source
from mirrord.ports import Clock, Journal, Observer
from mirrord.reconcile.prune_guard import BlockedDeletions
from mirrord.reconcile.records import LEFT

_BATCH = 500


class DesiredItems(Protocol):
    """The items that the manifests in force yield, without the files of folders."""

    def entry_of(self, item_id: str) -> str | None:
        """The entry that yields the item; None: none does."""

    def pairs(self) -> Iterable[tuple[str, str]]:
        """The id of each item, with its entry."""


@frozen
class LeftItem:
    """An item that left, and the holder that had it last. A million may leave at once, so it has no record."""

    item: Item
    holder: Holder
    has_object: bool
    """Whether the journal knows an object that mirrord wrote."""


@dataclass(slots=True)
class LeftItems:
    """What left: the deletions that are allowed, and by entry those that the guard refuses, with its reason."""

    allowed: list[LeftItem] = field(default_factory=list)
    refused: dict[str, tuple[str, list[LeftItem]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[LeftItem]:
        """All items that left."""
        return chain(self.allowed, chain.from_iterable(items for _, items in self.refused.values()))


@frozen
class Leaving:
    """`review`, then `note` unless nothing may be deleted in this pass. Both raise JournalError."""

    journal: Journal
    observer: Observer
    clock: Clock

    async def review(self, desired: DesiredItems, now: LoadedEntries, most: float | None = None) -> LeftItems:
        """Record who holds the desired items, and find those that left. `most`: the share of an entry's objects that
        the user allows to delete."""
        left: dict[str, Holder] = {}
        seen, holder_of = Counter[str](), cache(now.holder_of)
        outdated: dict[Holder | None, list[str]] = defaultdict(list)
        async for item_id, holder in self.journal.held():
            entry = desired.entry_of(item_id)
            if entry is None:
                left[item_id] = holder
                continue
            wanted = holder_of(entry)
            seen[entry] += wanted is not None
            if wanted != holder:
                outdated[wanted].append(item_id)
        found = await self._divided(left, now, most)
        found.allowed = [_with_wanted(one, desired, now) async for one in cooperatively(found.allowed)]
        await self._hold(outdated)
        await self._hold_new(desired, now, seen)
        return found

    async def any_held(self) -> bool:
        """Whether any item is held."""
        async for _ in self.journal.held():
            return True
        return False

    async def note(self, found: LeftItems) -> None:
        """Record the state of what left, for status and page."""
        deletions = BlockedDeletions(self.journal, self.observer, self.clock)
        for why, items in found.refused.values():
            report = True
            async for some in self._recorded(items):
                report = await deletions.block(some, why, report=report)
        async for some in self._recorded(found.allowed):
            news = [new for _, record in some if (new := self._pending(record)) != record]
            await self.journal.save_all(news)

    async def _recorded(self, left: Iterable[LeftItem]) -> AsyncIterator[list[tuple[Item, Record]]]:
        """The items that have a record, some at a time, each with its record."""
        rest = iter(left)
        while some := [one.item for one in islice(rest, _BATCH)]:
            records = await self.journal.recorded([item.id for item in some])
            yield [(item, records[item.id]) for item in some if item.id in records]
            await asyncio.sleep(0)

    def _pending(self, record: Record) -> Record:
        if record.removed is None and (record.condition.message == LEFT or record.condition.state is State.RETRYING):
            return record
        condition = Condition(state=State.PENDING, message=LEFT, since=self.clock.now())
        return replace(record, condition=condition, removed=None)

    # ── what left ─────────────────────────────────────────────────────────────────────────────────
    async def _divided(self, left: Mapping[str, Holder], now: LoadedEntries, most: float | None) -> LeftItems:
        found, by_entry, forgotten = LeftItems(), defaultdict[str, list[LeftItem]](list), list[str]()
        async for item_id, one, its_fate in self._examined(left, now):
            if one is not None:
                by_entry[one.holder.entry].append(one)
            elif its_fate is Fate.FORGOTTEN:
                forgotten.append(item_id)
        of_files = await self._file_refusals(by_entry.values(), now, most)
        for entry, items in by_entry.items():
            why = of_files.get(entry) or await self._refusal(entry, items, now, most)
            if why is None:
                found.allowed += items
            else:
                found.refused[entry] = (why, items)
        await self._release(forgotten)
        return found

    async def _examined(
        self, left: Mapping[str, Holder], now: LoadedEntries
    ) -> AsyncIterator[tuple[str, LeftItem | None, Fate]]:
        """Each item: its id, what is recorded of it if its holder says that it left, and its fate."""
        leaves, its_fate = list[str](), cache(partial(fate, now=now))
        async for item_id, holder in cooperatively(left.items()):
            if its_fate(holder) is Fate.LEAVES:
                leaves.append(item_id)
            else:
                yield item_id, None, its_fate(holder)
        candidates = iter(leaves)
        while batch := list(islice(candidates, _BATCH)):
            records = await self.journal.recorded(batch)
            for item_id in batch:
                holder, record = left[item_id], records.get(item_id)
                if record is None:
                    yield item_id, *await self._unrecorded(item_id, holder, now)
                elif (its := fate_of_record(holder, record, now)) is Fate.LEAVES:
                    item = _item(holder, record.destination, record.source, now)
                    yield item_id, LeftItem(item, holder, _has_object(record)), its
                else:
                    yield item_id, None, its

    async def _unrecorded(self, item_id: str, holder: Holder, now: LoadedEntries) -> tuple[LeftItem | None, Fate]:
        """An item that was never in sync: a transfer of it may still be open."""
        transfers = await self.journal.open_of(item_id)
        if not transfers:
            return None, Fate.FORGOTTEN
        at = transfers[0].destination
        if at.endpoint not in now.stores.values():
            return None, Fate.STAYS
        return LeftItem(_item(holder, at, "", now), holder, False), Fate.LEAVES

    async def _refusal(
        self, entry: str, items: Sequence[LeftItem], now: LoadedEntries, most: float | None
    ) -> str | None:
        objects, present = sum(one.has_object for one in items), now.entries.get(entry)
        if objects <= ALWAYS_FEW:
            return None
        files = {one.holder.file for one in items}
        if present is not None and present.file is not None:
            files.add(present.file)
        total = sum([await self.journal.held_objects(entry, file) for file in sorted(files)])
        all_named = _all_named([one.holder for one in items])
        allowed = largest((most, present.most if present is not None else None, all_named))
        return prune_refusal(objects, total, allowed, back="the items")

    async def _file_refusals(
        self, entries: Iterable[Sequence[LeftItem]], now: LoadedEntries, most: float | None
    ) -> dict[str, str]:
        """By entry of one object: why it is not deleted, because too many of them left its file at once."""
        by_file, refusals = defaultdict[str, list[Holder]](list), dict[str, str]()
        for items in entries:
            objects = [one.holder for one in items if one.has_object]
            if len(objects) == 1:
                by_file[objects[0].file].append(objects[0])
        for file, left in by_file.items():
            if len(left) <= ALWAYS_FEW:
                continue
            small = await self.journal.small_entries(file, SMALL)
            holders = [one for one in left if one.entry in small]
            allowed = largest((most, now.most_of.get(file), _all_named(holders)))
            why = prune_refusal(len(holders), len(small), allowed, back="the entries", place="defaults.prune")
            refusals |= {one.entry: f"{file}: {why}" for one in holders if why is not None}
        return refusals

    async def _release(self, item_ids: Sequence[str]) -> None:
        for start in range(0, len(item_ids), _BATCH):
            await self.journal.release(item_ids[start : start + _BATCH])

    # ── what is desired ───────────────────────────────────────────────────────────────────────────
    async def _hold(self, outdated: Mapping[Holder | None, Sequence[str]]) -> None:
        await self._release(outdated.get(None, ()))
        held = _Held(self.journal)
        for holder, item_ids in outdated.items():
            for item_id in item_ids if holder is not None else ():
                await held.add(holder, item_id)
        await held.end()

    async def _hold_new(self, desired: DesiredItems, now: LoadedEntries, seen: Counter[str]) -> None:
        """Hold the items of entries of which some are not held yet."""
        if not any(one.prunes for one in now.entries.values()):
            return
        counts, held, holder_of = Counter[str](), _Held(self.journal), cache(now.holder_of)
        async for _, entry in cooperatively(desired.pairs()):
            counts[entry] += 1
        async for item_id, entry in cooperatively(desired.pairs()):
            if counts[entry] > seen[entry]:
                await held.add(holder_of(entry), item_id)
        await held.end()


@dataclass(slots=True)
class _Held:
    """Items that are being held, many in one commit."""

    journal: Journal
    batch: dict[Holder, list[str]] = field(default_factory=dict)
    count: int = 0

    async def add(self, holder: Holder | None, item_id: str) -> None:
        if holder is not None:
            self.batch.setdefault(holder, []).append(item_id)
            self.count += 1
        if self.count >= _BATCH:
            await self.end()

    async def end(self) -> None:
        if self.batch:
            await self.journal.hold(self.batch)
        self.batch, self.count = {}, 0


def _all_named(holders: Sequence[Holder]) -> float | None:
    """The least share that their manifests named; None if one of them named none: the word for one item does not count
    for another."""
    named = [one.most for one in holders if one.most is not None]
    return min(named, default=None) if len(named) == len(holders) else None


def _with_wanted(left: LeftItem, desired: DesiredItems, now: LoadedEntries) -> LeftItem:
    """The same, with the desired objects of which the deletion must show that they are others."""
    origin, places = left.item.origin, same_place(left.item.destination, now.stores)
    wanted = tuple(at for at in places if desired.entry_of(at.item_id) is not None)
    if not wanted or not isinstance(origin, FormerSource):
        return left
    return replace(left, item=replace(left.item, origin=replace(origin, wanted=wanted)))


def _has_object(record: Record) -> bool:
    return record.object.etag is not None and record.object.transfer_id is not None


@lru_cache(maxsize=64)
def _options(every: float | None) -> Options:
    return Options() if every is None else Options(schedule=Schedule(every=every))


def _item(holder: Holder, at: Destination, source: str, now: LoadedEntries) -> Item:
    """The item whose object is to be deleted. A failed deletion is tried again at its entry's `every`."""
    place, entry = store_now(at, now.stores), now.entries.get(holder.entry)
    every = entry.every if entry is not None else None
    listing = entry.listing if entry is not None else None
    origin = prefix_source(listing, source, place.item_id) if listing is not None else None
    return Item(
        id=place.item_id,
        entry=holder.entry,
        origin=FormerSource(source, listed=None if origin is None else origin.at),
        destination=place,
        options=_options(every),
        gone=True,
    )
