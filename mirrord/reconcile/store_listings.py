"""Listings of the store instead of a HEAD for each item: which are made, when, and how long they count.

Owns one listing for each prefix (`planning.items.prefixes`), made at the first item that can use it while the others
wait. `store_listing` compares it with the journal, `planning.decisions.listed` decides whether it is worth its cost and
what it may decide. A listing that fails, or that costs more than HEADs, ends as incomplete: the rest gets HEADs. If the
store does not answer at all, the checks that waited for the listing fail, as they would after a HEAD (see `breakers`).
"""

import asyncio
import operator
from array import array
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain, islice
from logging import getLogger
from math import inf

from mirrord.aio import cooperatively, in_steps
from mirrord.declared import FolderSpec
from mirrord.errors import StoreDenied, StoreError, StoreRefused, StoreUnavailable
from mirrord.model import (
    Destination,
    Drift,
    Item,
    ListedObject,
    Options,
    Overwrite,
    Record,
    Schedule,
    StoredObject,
)
from mirrord.planning.decisions.listed import GOOD_FOR, PAGE, Verdict, good_for, is_abandoned, is_worth_listing
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.items.prefixes import KeyPrefix, folder_prefix, key_directory, shared_prefixes
from mirrord.ports import Clock, JournalQueries, ObjectStore
from mirrord.reconcile.store_listing import StoreListing

_log = getLogger(__name__)

PAGE_DEADLINE = 20.0
"""Seconds that one page of a listing may take. HEADs follow then."""
WAIT = 60.0
"""Seconds that an item waits for a listing that another one began, before it gets a HEAD: it keeps a slot meanwhile."""
NO_ANSWER_FOR = 60.0
"""Seconds until a listing that the store did not answer is made again. HEADs are sent until then."""
_MOST_DOUBTED = 100_000
_MOST_APPEARED = 100_000
_COUNTED = 10_000
"""Ids that are counted without a pause: 1 ms."""


@dataclass(slots=True)
class _Listed:
    """A prefix, its last listing, and the items below it."""

    prefix: KeyPrefix
    directories: dict[KeyPrefix, list["array[int]"]] = field(default_factory=dict)
    """The ids of items of mirrors as numbers, by the directory of their keys."""
    unasked: "array[int]" = field(default_factory=lambda: array("Q"))
    """The same of items that are checked at the times of `cron` only, or never again."""
    intervals: Counter[float | None] = field(default_factory=Counter)
    """How many of them are checked every so many seconds: see `_interval`."""
    size: int = 0
    """Items below it."""
    left: int = 0
    """Of these, items that were not checked yet."""
    objects: int = 0
    """Objects that a listing will probably show."""
    last: StoreListing | None = None
    no_answer: StoreUnavailable | None = None
    """Why the last listing shows nothing: the store did not answer."""
    answered: float = -inf
    """When the store gave the last page (monotonic)."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add(self, item_ids: "array[int]", schedule: Schedule) -> None:
        """More items of mirrors in the directory `prefix`, with this schedule."""
        self.directories.setdefault(self.prefix, []).append(item_ids)
        if schedule.every is None:
            self.unasked += item_ids
        self.intervals[_interval(schedule)] += len(item_ids)

    def join(self, other: "_Listed") -> None:
        """The items of a prefix below this one, too."""
        self.directories |= other.directories
        self.unasked += other.unasked
        self.intervals.update(other.intervals)
        self.size = self.left = self.objects = self.size + sum(other.intervals.values())

    def follow(self, before: "_Listed | None") -> Generator[None]:
        """Continue with the listing of the prefix that was known before; only new items were not checked yet. Yields
        for a pause."""
        if before is None:
            return
        new = 0
        for directory, ids in self.directories.items():
            new += yield from _count_new(ids, before.directories.get(directory, ()))
        self.last, self.no_answer, self.reading = before.last, before.no_answer, before.reading
        self.left = before.left + new
        self.objects = max(before.objects, self.size)

    def asking(self, every: float | None) -> int:
        """The items that will ask for a listing: within `every` seconds; None: those that were not checked yet."""
        if every is None:
            return self.left
        return sum(count for interval, count in self.intervals.items() if interval is not None and interval <= every)


class StoreListings:
    """The listings of one process. `replace` tells the items of mirrors, `expect` how many files a folder has.

    With `differing` the program runs on, and the items of a prefix share one check of their objects per `every`: it is
    called with the ids of those items whose objects are not as recorded, to be checked now.
    """

    def __init__(
        self,
        journal: JournalQueries,
        store_at: Callable[[Destination], Awaitable[ObjectStore]],
        clock: Clock,
        *,
        differing: Callable[[Iterable[str]], object] | None = None,
        page_deadline: float = PAGE_DEADLINE,
    ) -> None:
        self._journal = journal
        self._store_at = store_at
        self._clock = clock
        self._ticks = differing is not None
        self._differing = differing or list
        self._page_deadline = page_deadline
        self._listed: dict[KeyPrefix, _Listed] = {}
        self._prefixes: dict[KeyPrefix, KeyPrefix] = {}
        self._folders: dict[str, KeyPrefix] = {}
        self._reported = set[tuple[str, str, type[StoreError]]]()
        self._doubted = set[str]()
        self._appeared = set[str]()

    # ── the items ─────────────────────────────────────────────────────────────────────────────────
    async def replace(self, mirrors: Iterable[Item] | ItemsInForce, folders: Iterable[FolderSpec]) -> None:
        """These are the desired items of mirrors, and the folders. Listings of prefixes that stay still count."""
        single, lists = (
            (mirrors.mirrors.values(), mirrors.lists) if isinstance(mirrors, ItemsInForce) else (mirrors, ())
        )
        directories = await _directories(single)
        for rows in lists:
            if _needs_heads(rows.spec.options):
                async for directory, ids in cooperatively(rows.directories.items()):
                    if directory not in directories:
                        directories[directory] = _Listed(directory)
                    directories[directory].add(ids, rows.spec.options.schedule)
        prefixes = shared_prefixes({directory: sum(one.intervals.values()) for directory, one in directories.items()})
        listed: dict[KeyPrefix, _Listed] = {}
        async for directory, prefix in cooperatively(prefixes.items()):
            listed.setdefault(prefix, _Listed(prefix)).join(directories.pop(directory))
        for prefix, now in listed.items():
            await in_steps(now.follow(self._listed.get(prefix)))
        self._folders = {spec.entry: folder_prefix(spec) for spec in folders}
        for prefix in self._folders.values():
            if prefix in self._listed and prefix not in listed:
                listed[prefix] = _Listed(prefix)
                await in_steps(listed[prefix].follow(self._listed[prefix]))
        self._listed, self._prefixes = listed, prefixes

    def expect(self, folder: FolderSpec, files: int, recorded: int) -> None:
        """The pass will check about `files` files of the folder; `recorded` of its items have a record."""
        listed = self._of(folder_prefix(folder))
        more = max(0, files - listed.size)
        listed.size += more
        listed.left += more
        listed.objects = max(listed.objects, listed.size, recorded)

    def arrive(self, item: Item, *, just_appeared: bool) -> None:
        """A file of a folder without a record will be checked now; see `has_just_appeared`. Many together are worth a
        listing."""
        prefix = self._folders.get(item.entry)
        if prefix is None:
            return
        self._of(prefix).left += 1
        if just_appeared and len(self._appeared) < _MOST_APPEARED:
            self._appeared.add(item.id)

    def doubt(self, item_id: str) -> None:
        """The next check of this item makes a HEAD: a user asked for it."""
        if len(self._doubted) < _MOST_DOUBTED:
            self._doubted.add(item_id)

    def doubts(self, item_id: str) -> bool:
        """Whether the next check of this item needs HEADs: see `doubt`."""
        return item_id in self._doubted

    def _of(self, prefix: KeyPrefix) -> _Listed:
        return self._listed.setdefault(prefix, _Listed(prefix))

    def _prefix_of(self, item: Item) -> KeyPrefix | None:
        if item.folder_file is not None:
            return self._folders.get(item.entry)
        return self._prefixes.get(key_directory(item.destination))

    # ── questions ─────────────────────────────────────────────────────────────────────────────────
    async def verdict(self, item: Item, record: Record | None) -> Verdict:
        """What a listing shows of the item's object; UNKNOWN: a HEAD is needed. May make a listing or wait for one.

        Raises JournalError; StoreUnavailable if the store did not answer that listing, so that a HEAD is in vain.
        """
        prefix = self._prefix_of(item)
        unknown = Verdict.PROBABLY_ABSENT if item.id in self._appeared else Verdict.UNKNOWN
        self._appeared.discard(item.id)
        if prefix is None or item.id in self._doubted:
            self._doubted.discard(item.id)
            return Verdict.UNKNOWN
        recorded = record is not None and record.revision is not None
        every = _interval(item.options.schedule) if recorded and self._ticks else None
        listing = await self._listing(prefix, 1, every)
        if listing is None:
            return unknown
        written = record.object.synced_at if record is not None else None
        if written is not None and written >= listing.since:
            if every is None or not listing.complete or written > self._clock.now():
                return Verdict.UNKNOWN  # a time in the future: a clock was or is wrong
            return Verdict.AS_RECORDED  # written by us within `every` seconds: the next listing compares it
        verdict = listing.verdict(item.id)
        return unknown if verdict is Verdict.UNKNOWN else verdict

    def shown_etag(self, item: Item, stored: StoredObject, record: Record) -> str | None:
        """See `StoreListing.shown_etag`, of the last listing. None also if the object that it showed may not be the
        one that a HEAD showed since, `stored`: that is no older than the listing, or its age is unknown."""
        prefix = self._prefix_of(item)
        listed = self._listed.get(prefix) if prefix is not None else None
        if listed is None or listed.last is None or stored.last_modified is None:
            return None
        written = max(stored.last_modified, record.object.synced_at or 0.0)
        return listed.last.shown_etag(item.id) if written < listed.last.since else None

    def answered_since(self, item: Item, moment: float) -> bool:
        """Whether the store gave a page of the listing for the item since `moment` (monotonic)."""
        prefix = self._prefix_of(item)
        return prefix in self._listed and self._listed[prefix].answered >= moment

    async def verdicts(self, folder: FolderSpec, item_ids: Sequence[str]) -> Sequence[Verdict]:
        """What a listing shows of these items of a folder, in their order. UNKNOWN: a HEAD is needed. Makes the listing
        if that is worth its cost, for the number of items that `expect` told; raises JournalError only.

        AS_RECORDED: the store has the object with the size and ETag of the item's record, as the journal had it during
        the listing. It counts for an item that was not written since, and it only spares the HEAD of an item that needs
        no write: every write needs a HEAD, or a condition, before it.
        """
        try:
            listing = await self._listing(folder_prefix(folder), len(item_ids))
        except StoreUnavailable:  # the check of each file meets it
            listing = None
        if listing is None:
            return [Verdict.UNKNOWN] * len(item_ids)
        return [listing.verdict(item_id) for item_id in item_ids]

    # ── listings ──────────────────────────────────────────────────────────────────────────────────
    async def _listing(self, prefix: KeyPrefix, asked: int, every: float | None = None) -> StoreListing | None:
        """The last listing of the prefix if it still counts, or a new one if that is worth its cost.

        `asked` items ask for it, and again after `every` seconds (None: they are checked once, now). Raises
        StoreUnavailable if the store did not answer it; so do the calls that waited for the same listing.
        """
        listed, seconds = self._listed.get(prefix), good_for(every)
        if listed is None:
            return None
        if not self._is_good(listed, seconds) and is_worth_listing(listed.asking(every), listed.objects):
            await self._renew(listed, every)
        listed.left = max(0, listed.left - asked)
        return listed.last if self._is_good(listed, seconds) else None

    async def _renew(self, listed: _Listed, every: float | None) -> None:
        """Make a listing, or wait for the one that is being made. Raises StoreUnavailable if the store did not answer
        it."""
        try:
            async with asyncio.timeout(WAIT):
                await listed.reading.acquire()
        except TimeoutError:
            return
        try:
            if not self._is_good(listed, good_for(every)):
                listed.last = await self._read(listed, listed.asking(every))
        finally:
            listed.reading.release()
        if listed.no_answer is not None:  # a HEAD would meet the same
            raise StoreUnavailable(str(listed.no_answer)) from listed.no_answer

    def _is_good(self, listed: _Listed, seconds: float) -> bool:
        """An incomplete listing spares few HEADs: a program that runs on tries again sooner."""
        last = listed.last
        if last is None:
            return False
        limit = GOOD_FOR if listed.no_answer is None else NO_ANSWER_FOR
        return self._clock.monotonic() - last.began < (seconds if last.complete else min(seconds, limit))

    async def _read(self, listed: _Listed, left: int) -> StoreListing:
        """List the prefix for `left` items. After an error, or if it costs more than HEADs, it stays incomplete."""
        prefix, listed.no_answer = listed.prefix, None
        listing = StoreListing(prefix, self._clock.monotonic(), self._clock.now())
        try:
            store = await self._store_at(prefix.destination)
            async with aclosing(store.list_objects(prefix.bucket, prefix.prefix)) as pages:
                while (page := await self._next(pages)) is not None:
                    listed.answered = self._clock.monotonic()
                    late = listed.answered - listing.began > GOOD_FOR
                    abandoned = late or is_abandoned(listing.pages, left)
                    item_ids = listing.item_ids(page)
                    listing.add(page, item_ids, await self._journal.recorded_etags(item_ids))
                    if abandoned:
                        break
                else:
                    listing.complete = True
        except StoreError as error:
            if isinstance(error, StoreUnavailable) and not error.answered and not listing.pages:
                listed.no_answer = error
            self._report(prefix, error)
        listed.objects = max(listing.objects, listed.size)
        if self._ticks and listing.complete:
            self._differing(await self._replaced(listed, listing))
        return listing

    async def _replaced(self, listed: _Listed, listing: StoreListing) -> list[str]:
        """The items of mirrors whose recorded objects are not there any more as they are recorded."""
        found: list[str] = []
        numbers = chain.from_iterable(chain.from_iterable(listed.directories.values()))
        unasked = frozenset(listed.unasked)
        while some := list(islice(numbers, PAGE)):
            item_ids = [f"{number:016x}" for number in some if number not in unasked]
            others = [item_id for item_id in item_ids if listing.verdict(item_id) is not Verdict.AS_RECORDED]
            found += await self._journal.recorded_etags(others)
            await asyncio.sleep(0)
        return found

    async def _next(self, pages: AsyncGenerator[Sequence[ListedObject]]) -> Sequence[ListedObject] | None:
        """The next page; None: the list ended. Raises StoreError."""
        try:
            async with asyncio.timeout(self._page_deadline):
                return await anext(pages, None)
        except TimeoutError as error:  # a store whose listings are slow may answer HEADs
            raise StoreRefused(f"no page of the listing within {self._page_deadline:g} s") from error

    def _report(self, prefix: KeyPrefix, error: StoreError) -> None:
        """Each kind of error once for a bucket: a program that runs on tries again every ten minutes."""
        kind = prefix.store, prefix.bucket, type(error)
        if kind in self._reported:
            return
        self._reported.add(kind)
        if isinstance(error, StoreDenied):
            _log.warning("the bucket may not be listed (s3:ListBucket): each object costs a HEAD: %s", error)
        else:
            _log.info("%s is not listed, HEADs are sent instead: %s", prefix.destination, error)


def _interval(schedule: Schedule) -> float | None:
    """Seconds between two checks; None: there are no regular ones. Items with `cron` are checked together, too, at
    unequal times: each time needs a listing of its own."""
    return GOOD_FOR if schedule.cron is not None else schedule.every


async def _directories(mirrors: Iterable[Item]) -> dict[KeyPrefix, _Listed]:
    """The directories of the items' keys. Of a program's items none is kept: there may be a million."""
    groups: dict[tuple[KeyPrefix, int], tuple[Schedule, array[int]]] = {}
    async for item in cooperatively(mirrors):
        if _needs_heads(item.options):
            schedule = item.options.schedule
            group = key_directory(item.destination), id(schedule)
            if group not in groups:
                groups[group] = schedule, array("Q")
            groups[group][1].append(int(item.id, 16))
    found: dict[KeyPrefix, _Listed] = {}
    for (directory, _), (schedule, ids) in groups.items():
        if directory not in found:
            found[directory] = _Listed(directory)
        found[directory].add(ids, schedule)
    return found


def _count_new(ids: Sequence["array[int]"], before: Sequence["array[int]"]) -> Generator[None, None, int]:
    """How many ids there were not before. Yields for a pause."""
    yield
    if len(ids) == len(before) and all(map(operator.eq, ids, before)):
        return 0
    known, new = set[int](), 0
    for one in before:
        for start in range(0, len(one), _COUNTED):
            known.update(one[start : start + _COUNTED])
            yield
    for one in ids:
        for start in range(0, len(one), _COUNTED):
            new += len(set(one[start : start + _COUNTED]) - known)
            yield
    return new


def _needs_heads(options: Options) -> bool:
    return not options.suspend and (options.drift is not Drift.IGNORE or options.overwrite is not Overwrite.ALWAYS)
