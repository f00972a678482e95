"""Listings of the store instead of a HEAD for each item: which are made, when, and how long they count.

Owns one listing for each prefix (`planning.items.prefixes`), made at the first item that can use it while the others
wait. `store_listing` compares it with the journal, `planning.decisions.listed` decides whether it is worth its cost and
what it may decide. A listing that fails, or that costs more than HEADs, ends as incomplete: the rest gets HEADs.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.declared import FolderSpec
from mirrord.errors import StoreDenied, StoreError, StoreUnavailable
from mirrord.model import Destination, Drift, Item, ListedObject, Overwrite, Record
from mirrord.planning.decisions.listed import GOOD_FOR, Verdict, good_for, is_abandoned, is_worth_listing
from mirrord.planning.items.prefixes import KeyPrefix, folder_prefix, key_directory, shared_prefixes
from mirrord.ports import Clock, JournalQueries, ObjectStore
from mirrord.reconcile.store_listing import StoreListing

_log = getLogger(__name__)

PAGE_DEADLINE = 20.0
"""Seconds that one page of a listing may take. HEADs follow then."""


@dataclass(slots=True)
class _Listed:
    """A prefix, its last listing, and the items below it."""

    prefix: KeyPrefix
    item_ids: list[str] = field(default_factory=list)
    """Of mirrors."""
    size: int = 0
    """Items below it."""
    left: int = 0
    """Of these, items that were not checked yet."""
    objects: int = 0
    """Objects that a listing will probably show."""
    last: StoreListing | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class StoreListings:
    """The listings of one process. `replace` tells the items of mirrors, `expect` how many files a folder has.

    `ticks`: the program runs on, and the items of a prefix share one check of their objects per `every`.
    """

    def __init__(
        self,
        journal: JournalQueries,
        store_at: Callable[[Destination], Awaitable[ObjectStore]],
        clock: Clock,
        *,
        ticks: bool = False,
        page_deadline: float = PAGE_DEADLINE,
    ) -> None:
        self._journal = journal
        self._store_at = store_at
        self._clock = clock
        self._ticks = ticks
        self._page_deadline = page_deadline
        self._listed: dict[KeyPrefix, _Listed] = {}
        self._prefixes: dict[KeyPrefix, KeyPrefix] = {}
        self._folders: dict[str, KeyPrefix] = {}
        self._denied = set[tuple[str, str]]()
        self._doubted = set[str]()

    # ── the items ─────────────────────────────────────────────────────────────────────────────────
    def replace(self, mirrors: Iterable[Item], folders: Iterable[FolderSpec]) -> None:
        """These are the desired items of mirrors, and the folders. Listings of prefixes that stay still count."""
        useful = [item for item in mirrors if _needs_heads(item)]
        self._prefixes = shared_prefixes(Counter(key_directory(item.destination) for item in useful))
        self._folders = {spec.entry: folder_prefix(spec) for spec in folders}
        before, self._listed = self._listed, {}
        for item in useful:
            prefix = self._prefixes.get(key_directory(item.destination))
            if prefix is not None:
                self._of(prefix).item_ids.append(item.id)
        for prefix, now in self._listed.items():
            earlier = before.get(prefix) or _Listed(prefix)
            now.size, now.last, now.reading = len(now.item_ids), earlier.last, earlier.reading
            now.left = earlier.left + len(set(now.item_ids).difference(earlier.item_ids))
            now.objects = max(earlier.objects, now.size)
        for prefix in self._folders.values():
            if prefix in before:
                self._listed.setdefault(prefix, before[prefix])

    def expect(self, folder: FolderSpec, files: int, recorded: int) -> None:
        """The pass will check about `files` files of the folder; `recorded` of its items have a record."""
        listed = self._of(folder_prefix(folder))
        more = max(0, files - listed.size)
        listed.size += more
        listed.left += more
        listed.objects = max(listed.objects, listed.size, recorded)

    def doubt(self, item_id: str) -> None:
        """The next check of this item makes a HEAD: a user asked for it."""
        self._doubted.add(item_id)

    def _of(self, prefix: KeyPrefix) -> _Listed:
        return self._listed.setdefault(prefix, _Listed(prefix))

    def _prefix_of(self, item: Item) -> KeyPrefix | None:
        if item.folder_file is not None:
            return self._folders.get(item.entry)
        return self._prefixes.get(key_directory(item.destination))

    # ── questions ─────────────────────────────────────────────────────────────────────────────────
    async def verdict(self, item: Item, record: Record | None) -> Verdict:
        """What a listing shows of the item's object; UNKNOWN: a HEAD is needed. May make a listing or wait for one.
        Raises JournalError only."""
        prefix = self._prefix_of(item)
        if prefix is None or item.id in self._doubted:
            self._doubted.discard(item.id)
            return Verdict.UNKNOWN
        recorded = record is not None and record.revision is not None
        seconds = good_for(item.options.schedule.every, recorded=recorded, ticks=self._ticks)
        listing = await self._listing(prefix, 1, seconds, whole=recorded and self._ticks)
        if listing is None or _is_newer(record, listing):
            return Verdict.UNKNOWN
        return listing.verdict(item.id)

    async def verdicts(self, folder: FolderSpec, item_ids: Sequence[str]) -> Sequence[Verdict]:
        """What a listing shows of these items of a folder, in their order. UNKNOWN: a HEAD is needed. Makes the listing
        if that is worth its cost, for the number of items that `expect` told; raises JournalError only.

        AS_RECORDED: the store has the object with the size and ETag of the item's record, as the journal had it during
        the listing. It counts for an item that was not written since, and it only spares the HEAD of an item that needs
        no write: every write needs a HEAD, or a condition, before it.
        """
        listing = await self._listing(folder_prefix(folder), len(item_ids), GOOD_FOR, whole=False)
        if listing is None:
            return [Verdict.UNKNOWN] * len(item_ids)
        return [listing.verdict(item_id) for item_id in item_ids]

    # ── listings ──────────────────────────────────────────────────────────────────────────────────
    async def _listing(self, prefix: KeyPrefix, asked: int, seconds: float, *, whole: bool) -> StoreListing | None:
        """The last listing of the prefix if it is not older than `seconds`, or a new one if that is worth its cost.

        `asked` items ask for it. `whole`: all items of the prefix will ask, not only those that were not checked yet.
        """
        listed = self._listed.get(prefix)
        if listed is None:
            return None
        if not self._is_good(listed, seconds) and is_worth_listing(_left(listed, whole), listed.objects):
            async with listed.reading:
                if not self._is_good(listed, seconds):
                    listed.last = await self._read(listed, _left(listed, whole))
        listed.left = max(0, listed.left - asked)
        return listed.last if self._is_good(listed, seconds) else None

    def _is_good(self, listed: _Listed, seconds: float) -> bool:
        """An incomplete listing spares few HEADs: a program that runs on tries again sooner."""
        last = listed.last
        if last is None:
            return False
        return self._clock.monotonic() - last.began < (seconds if last.complete else min(seconds, GOOD_FOR))

    async def _read(self, listed: _Listed, left: int) -> StoreListing:
        """List the prefix for `left` items. After an error, or if it costs more than HEADs, it stays incomplete."""
        prefix = listed.prefix
        listing = StoreListing(prefix, self._clock.monotonic(), self._clock.now())
        try:
            store = await self._store_at(prefix.destination)
            async with aclosing(store.list_objects(prefix.bucket, prefix.prefix)) as pages:
                while (page := await self._next(pages)) is not None:
                    abandoned = is_abandoned(listing.pages, left)
                    item_ids = listing.item_ids(page)
                    listing.add(page, item_ids, await self._journal.recorded_etags(item_ids))
                    if abandoned:
                        break
                else:
                    listing.complete = True
        except StoreDenied as error:
            self._report_denied(prefix, error)
        except StoreError as error:
            _log.info("%s is not listed, HEADs are sent instead: %s", prefix.destination, error)
        listed.objects = max(listing.objects, listed.size)
        return listing

    async def _next(self, pages: AsyncGenerator[Sequence[ListedObject]]) -> Sequence[ListedObject] | None:
        """The next page; None: the list ended. Raises StoreError."""
        try:
            async with asyncio.timeout(self._page_deadline):
                return await anext(pages, None)
        except TimeoutError as error:
            raise StoreUnavailable(f"no page of the listing within {self._page_deadline:g} s") from error

    def _report_denied(self, prefix: KeyPrefix, error: StoreDenied) -> None:
        if (prefix.endpoint, prefix.bucket) not in self._denied:
            self._denied.add((prefix.endpoint, prefix.bucket))
            _log.warning("the bucket may not be listed (s3:ListBucket): each object costs a HEAD: %s", error)


def _left(listed: _Listed, whole: bool) -> int:
    return listed.size if whole else listed.left


def _is_newer(record: Record | None, listing: StoreListing) -> bool:
    """Whether the object was written after the listing began."""
    written = record.object.synced_at if record is not None else None
    return written is not None and written >= listing.since


def _needs_heads(item: Item) -> bool:
    options = item.options
    return not options.suspend and (options.drift is not Drift.IGNORE or options.overwrite is not Overwrite.ALWAYS)
