"""One list of sources that is followed: its items in force, and when it is read again.

Owns what an incomplete reading means: its good rows count, and no item of the readings before leaves. A list at a URL
is read at the times of its entry's schedule, by a conditional request, and so is the listing of a prefix; a file when
its state changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from logging import getLogger
from random import random

from mirrord.aio import cooperatively, in_steps
from mirrord.declared import ListSpec
from mirrord.errors import Recovery, SourceError
from mirrord.frozen import frozen
from mirrord.model import IdList, Item, Revision
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.lists.listed_rows import ListedRows
from mirrord.planning.lists.rows import ListRow
from mirrord.planning.timing.backoff import Backoff, pause
from mirrord.planning.timing.schedule import AFTER_LAST_RETRY, cron_after
from mirrord.ports import Clock, Source
from mirrord.sources.list.intake import WRITTEN_WITHIN, list_name, may_be_written
from mirrord.sources.list.reader import ListReading, read_list
from mirrord.status import ListStatus

_log = getLogger(__name__)

FILE_EVERY = WRITTEN_WITHIN
"""Seconds between two looks at the state of a list that is a file."""
RETRIES = Backoff(base=1.0, cap=300.0)
MOST_CONFLICTS = 20
"""Conflicts with other entries that are shown."""
_COMPARED = 20
"""Parts of a list, of up to 250 items, that are compared without a pause."""


@frozen(kw_only=True)
class ListPorts:
    """What the following of a list needs. `changed` applies its items; `chance` is uniform in [0, 1).

    `taking`: held while the items of all lists are taken together, and while a list changes its items."""

    source_of: Callable[[ListSpec], Source]
    changed: Callable[[], Awaitable[None]]
    clock: Clock
    chance: Callable[[], float] = random
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class FollowedList:
    """`run` follows the list; `items` are in force, by id."""

    spec: ListSpec
    ports: ListPorts
    items: ItemsInForce = field(default_factory=ItemsInForce)
    known: bool = False
    """The last reading was complete: an item that is not in it has left the list."""
    conflicts: tuple[str, ...] = ()
    """Rows whose objects belong to other entries, as found when the items were applied last."""
    _former: ItemsInForce = field(default_factory=ItemsInForce)
    """Those in force before the last reading, until its items are applied."""
    _revision: Revision | None = None
    _bad_rows: tuple[str, ...] = ()
    _faults: tuple[str, ...] = ()
    """What is shown: the bad rows of the last reading, and why the list could not be read since."""
    _read_at: float | None = None
    _unapplied: bool = False
    _failures: int = 0
    _retry_after: float | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _at_its_time: bool = False
    """Whether the list is read at a time of its schedule, or again after that failed."""
    _due: IdList = field(default_factory=IdList)
    """See `take_due`."""

    async def run(self) -> None:
        """Follow the list. Ends only by cancellation, or by a programming error."""
        if self.spec.options.suspend:
            await asyncio.Event().wait()
        while True:
            await self._read()
            if self._unapplied:
                await self.ports.changed()
                self._unapplied = False
            timed = await self._wait(self._delay(self.ports.clock.now()))
            if not self._failures:
                self._at_its_time = timed

    def read_again(self) -> None:
        """Read the list now."""
        self._news.set()

    def take_due(self) -> Iterable[str]:
        """The ids of the items, each once, that the list showed first, or changed, when it was read at its time under
        cron: this is their time, too, and not the next one."""
        due, self._due = self._due, IdList()
        return due

    def status(self) -> ListStatus:
        """The list as it was read last."""
        return ListStatus(
            name=self.spec.entry,
            source=list_name(self.spec),
            read_at=self._read_at,
            items=len(self.items),
            complete=not (self._faults or self.conflicts),
            faults=(*self._faults, *self.conflicts),
        )

    async def show_conflicts(self, found: tuple[str, ...]) -> None:
        """Keep what was found when the items were applied; log it if it is new. A row in conflict is a bad row: the
        items before the last reading stay. `taking` is held."""
        if found != self.conflicts:
            _warn(found)
        if self.conflicts and not found:
            self._revision = None  # what left meanwhile is not known
            self.read_again()
        self.conflicts, former, self._former = found, self._former, ItemsInForce()
        if found:
            self.items = await in_steps(self.items.with_missing(former))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────
    async def _read(self) -> None:
        """Read the list if it changed."""
        found = ListedRows(self.spec)

        def keep(item: Item, row: ListRow, line: int) -> str | None:
            if (first := found.add(item, row, line)) is None:
                return None
            return f"{item.destination} is also the object of line {first}; one object, one item"

        try:
            reading = await read_list(self.spec, self.ports.source_of(self.spec), keep, self._revision)
        except SourceError as error:
            self._failed(error)
            return
        self._retry_after, self._read_at = None, self.ports.clock.now()
        if reading is not None:
            async with self.ports.taking:
                await self._take(reading, found)
        else:
            self._failures = 0
            self._show(self._bad_rows)

    async def _take(self, reading: ListReading, rows: ListedRows) -> None:
        found = ItemsInForce(lists=[rows] if rows else ())
        # Else it is read once more a little later, and until then no item leaves.
        settled = not may_be_written(reading.revision, self.ports.clock.now())
        known = reading.complete and settled
        if self._at_its_time and self.spec.options.schedule.cron is not None:
            async for item_id in cooperatively(found.changed_since(self.items, ()), _COMPARED):
                if item_id is not None and item_id in found:
                    self._due.append(item_id)
        items = found if known else await in_steps(found.with_missing(self.items))
        self.known, self._revision = known, reading.revision if settled else None
        self._failures = self._failures + 1 if reading.revision is None else 0
        self._bad_rows = tuple(reading.faults)
        self._show(self._bad_rows)
        self._former, self.items = self.items, items
        self._unapplied = True

    def _failed(self, error: SourceError) -> None:
        """The list cannot be read: its items stay as they are."""
        self._failures = self._failures + 1 if error.recovery is not Recovery.BLOCK else 0
        self._retry_after = error.retry_after
        self._show((str(error), *self._bad_rows))

    def _show(self, faults: tuple[str, ...]) -> None:
        if faults != self._faults:
            _warn(faults)
        if self._faults and not faults:
            _log.info("%s: the list is complete again", list_name(self.spec))
        self._faults = faults

    # ── when ──────────────────────────────────────────────────────────────────────────────────────
    def _delay(self, now: float) -> float | None:
        """Seconds until the list is read again; None: not before it is asked for."""
        if self._failures:
            return pause(RETRIES, self._failures, self.ports.chance(), self._retry_after)
        if not self.spec.scheduled:
            return FILE_EVERY
        schedule = self.spec.options.schedule
        if schedule.cron is not None:
            return cron_after(schedule.cron, schedule.timezone, now) - now
        if schedule.every is None and not self.known:
            return AFTER_LAST_RETRY
        return schedule.every

    async def _wait(self, seconds: float | None) -> bool:
        """Until then, or until `read_again`. Returns whether the time has come."""
        timer = None if seconds is None else asyncio.create_task(self._wake(seconds))
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._news.clear()
        return timer is not None and timer.done()

    async def _wake(self, seconds: float) -> None:
        await self.ports.clock.sleep(seconds)
        self._news.set()


def carried_over(before: FollowedList | None, spec: ListSpec) -> ItemsInForce:
    """The items in force until a changed list is read: those of `before`, unless they have other objects now."""
    if before is None or _place(before.spec) != _place(spec):
        return ItemsInForce()
    if spec.entry == before.spec.entry and not spec.options.suspend:
        return before.items
    suspend = spec.options.suspend
    return ItemsInForce(lists=[rows.called(spec.entry, suspend=suspend) for rows in before.items.lists])


def _place(spec: ListSpec) -> tuple[str, ...]:
    return spec.store, spec.endpoint, spec.provider.value, spec.to


def _warn(faults: tuple[str, ...]) -> None:
    for fault in faults:
        _log.warning("%s", fault)
