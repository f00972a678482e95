"""Items that left the manifests and whose entries had `prune`: which they are, and whether the guard allows deletion.

Owns the steps of one pass: compare what is held with what is desired, hold what is desired now, and divide what left
into deletions and entries that are Blocked (PruneGuard). What an item's last holder said stays in the journal until its
object is deleted or kept for good, so that a killed process forgets none. The rules are in
`planning.decisions.leaving` and `prune`; `removal` deletes.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import TypeVar

from mirrord.aio import cooperatively
from mirrord.frozen import frozen
from mirrord.model import Condition, Destination, Holder, Item, Record, State
from mirrord.planning.decisions.leaving import Fate, LoadedEntries, fate, fate_of_record
from mirrord.planning.decisions.prune import ALWAYS_FEW, SMALL, largest, prune_refusal
from mirrord.ports import Clock, Journal, Observer
from mirrord.reconcile.left_items import DesiredItems, HeldIds, LeftItem, LeftItemMaker, LeftItems
from mirrord.reconcile.prune_guard import BlockedDeletions
from mirrord.reconcile.records import LEFT

_BATCH = 500
T = TypeVar("T")


@dataclass(slots=True)
class _LeftEntry:
    """The items that left an entry, for the guard."""

    holders: set[Holder] = field(default_factory=set)
    objects: int = 0
    """Of how many of them the journal knows an object that mirrord wrote."""
    of_object: Holder | None = None
    """The holder of the first of these."""

    def add(self, holder: Holder, *, has_object: bool) -> None:
        self.holders.add(holder)
        if has_object:
            self.objects += 1
            self.of_object = self.of_object or holder


@frozen
class Leaving:
    """`review`, then `note` unless nothing may be deleted in this pass, then `items`. All raise JournalError."""

    journal: Journal
    observer: Observer
    clock: Clock

    async def review(self, desired: DesiredItems, now: LoadedEntries, most: float | None = None) -> LeftItems:
        """Record who holds the desired items, and find those that left. `most`: the share of an entry's objects that
        the user allows to delete."""
        left = HeldIds()
        seen, holder_of = Counter[str](), cache(now.holder_of)
        outdated: dict[Holder | None, list[str]] = defaultdict(list)
        async for item_id, holder in self.journal.held():
            entry = desired.entry_of(item_id)
            if entry is None:
                left.put(item_id, holder)
                continue
            wanted = holder_of(entry)
            seen[entry] += wanted is not None
            if wanted != holder:
                outdated[wanted].append(item_id)
        found = await self._divided(left, LeftItemMaker(desired, now), most)
        await self._hold(outdated)
        await self._hold_new(desired, now, seen)
        return found

    async def any_held(self) -> bool:
        """Whether any item is held."""
        async for _ in self.journal.held():
            return True
        return False

    async def note(self, found: LeftItems, due: Iterable[str]) -> None:
        """Record the state of what left, for status and page. `due`: the items whose deletions begin."""
        deletions = BlockedDeletions(self.journal, self.observer, self.clock)
        report = dict.fromkeys(found.refused, True)
        for some in _batches(await found.blocked()):
            by_entry = defaultdict[str, list[tuple[Item, Record]]](list)
            for one, record in await self._recorded(found, some):
                if record is not None:
                    by_entry[one.holder.entry].append((one.item, record))
            for entry, pairs in by_entry.items():
                report[entry] = await deletions.block(pairs, found.refused[entry], report=report[entry])
        for some in _batches(due):
            records = await self.journal.recorded(some)
            await self.journal.save_all([new for one in records.values() if (new := self._pending(one)) != one])
            await asyncio.sleep(0)

    async def items(self, found: LeftItems, item_ids: Sequence[str]) -> list[LeftItem]:
        """These items of what left, without those that the journal does not know any more."""
        return [one for one, _ in await self._recorded(found, item_ids)]

    async def all_items(self, found: LeftItems, item_ids: Iterable[str]) -> AsyncIterator[LeftItem]:
        """As `items`, some at a time."""
        for some in _batches(item_ids):
            for one in await self.items(found, some):
                yield one
            await asyncio.sleep(0)

    async def _recorded(self, found: LeftItems, item_ids: Sequence[str]) -> list[tuple[LeftItem, Record | None]]:
        records, pairs = await self.journal.recorded(item_ids), list[tuple[LeftItem, Record | None]]()
        for item_id in item_ids:
            holder, record = found.held[item_id], records.get(item_id)
            at, source = (record.destination, record.source) if record else (await self._of_transfer(item_id), "")
            if at is not None:
                pairs.append((LeftItem(found.made(holder, at, source), holder), record))
        return pairs

    async def _of_transfer(self, item_id: str) -> Destination | None:
        """The object of an item that was never in sync: a transfer of it may still be open."""
        transfers = await self.journal.open_of(item_id)
        return transfers[0].destination if transfers else None

    def _pending(self, record: Record) -> Record:
        if record.removed is None and (record.condition.message == LEFT or record.condition.state is State.RETRYING):
            return record
        condition = Condition(state=State.PENDING, message=LEFT, since=self.clock.now())
        return replace(record, condition=condition, removed=None)

    # ── what left ─────────────────────────────────────────────────────────────────────────────────
    async def _divided(self, left: HeldIds, made: LeftItemMaker, most: float | None) -> LeftItems:
        now = made.now
        found, by_entry, forgotten = LeftItems(made), defaultdict[str, _LeftEntry](_LeftEntry), list[str]()
        its_fate = cache(partial(fate, now=now))
        for some in _batches(left.pairs()):
            records = await self.journal.recorded([one for one, holder in some if its_fate(holder) is Fate.LEAVES])
            for item_id, holder in some:
                record, its = records.get(item_id), its_fate(holder)
                if its is Fate.LEAVES:
                    its = fate_of_record(holder, record, now) if record else await self._fate_of_transfer(item_id, now)
                if its is Fate.LEAVES:
                    by_entry[holder.entry].add(holder, has_object=record is not None and _has_object(record))
                    found.held.put(item_id, holder)
                elif its is Fate.FORGOTTEN:
                    forgotten.append(item_id)
            await asyncio.sleep(0)
        found.refused = await self._refusals(by_entry, now, most)
        await self._release(forgotten)
        return found

    async def _fate_of_transfer(self, item_id: str, now: LoadedEntries) -> Fate:
        at = await self._of_transfer(item_id)
        if at is None:
            return Fate.FORGOTTEN
        return Fate.LEAVES if at.endpoint in now.stores.values() else Fate.STAYS

    async def _refusals(
        self, entries: Mapping[str, _LeftEntry], now: LoadedEntries, most: float | None
    ) -> dict[str, str]:
        """Why the deletions of an entry are refused, by entry."""
        refusals = await self._file_refusals(entries.values(), now, most)
        for entry, left in entries.items():
            if entry not in refusals and (why := await self._refusal(entry, left, now, most)) is not None:
                refusals[entry] = why
        return refusals

    async def _refusal(self, entry: str, left: _LeftEntry, now: LoadedEntries, most: float | None) -> str | None:
        present = now.entries.get(entry)
        if left.objects <= ALWAYS_FEW:
            return None
        files = {one.file for one in left.holders}
        if present is not None and present.file is not None:
            files.add(present.file)
        total = sum([await self.journal.held_objects(entry, file) for file in sorted(files)])
        allowed = largest((most, present.most if present is not None else None, _all_named(left.holders)))
        return prune_refusal(left.objects, total, allowed, back="the items")

    async def _file_refusals(
        self, entries: Iterable[_LeftEntry], now: LoadedEntries, most: float | None
    ) -> dict[str, str]:
        """By entry of one object: why it is not deleted, because too many of them left its file at once."""
        by_file, refusals = defaultdict[str, list[Holder]](list), dict[str, str]()
        for entry in entries:
            if entry.objects == 1 and entry.of_object is not None:
                by_file[entry.of_object.file].append(entry.of_object)
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


def _batches(many: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(many)
    while some := list(islice(rest, _BATCH)):
        yield some


def _all_named(holders: Collection[Holder]) -> float | None:
    """The least share that their manifests named; None if one of them named none: the word for one item does not count
    for another."""
    named = [one.most for one in holders if one.most is not None]
    return min(named, default=None) if len(named) == len(holders) else None


def _has_object(record: Record) -> bool:
    return record.object.etag is not None and record.object.transfer_id is not None
