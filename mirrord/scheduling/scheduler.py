"""The desired items, and when each is checked next: what a running daemon adds to `reconcile`.

Owns what follows a reload and a check. `planning.timing.schedule` decides when an item is due, `scheduling.items` holds
the table, `scheduling.records` reads and writes the journal, the queue waits and limits, and the reconciler checks.
Reads no manifests: a reload gives the whole desired set, and only the difference is applied. While the journal cannot
be written, every check is paused by a back-off; `journal_problem` gives the reason, for readiness.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from logging import getLogger
from math import inf
from random import random

from mirrord.aio import cooperatively, drain, finish
from mirrord.errors import JournalError, Reason
from mirrord.model import Item, Outcome, State
from mirrord.planning.items.difference import Difference, same_work
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.timing.schedule import CRON_EARLY, first_wait, next_wait, tick_after_jump
from mirrord.ports import Clock, JournalRecords, Queue
from mirrord.scheduling.items import ScheduledItem, ScheduledItems
from mirrord.scheduling.records import ScheduledRecords
from mirrord.scheduling.waiting import Waiting

_log = getLogger(__name__)

WORTH_KEEPING = 60.0
"""Seconds: a next check at least this far away is journaled, so that a restart need not check everything at once."""
CLOCK_EVERY = 30.0
"""Seconds between two comparisons of the wall clock with the monotonic one."""
JUMP = 1.0
"""Seconds by which their difference must change before the wall clock counts as set."""
FIRST = -3600.0
"""Delay in seconds of a check that a user asked for: before all that are due."""
MOST_FILES = 20_000
"""Unfinished files of folders; `submit` of one more waits."""
_BATCH = 500  # items after which the loop can run other tasks
_COMPARED = 20  # the same for parts of a list, of up to 250 items, and items that may differ

Reconcile = Callable[[Item, int], Awaitable[Outcome]]
"""`Reconciler.reconcile`: one check of an item, after so many failures in a row. Raises JournalError only."""


@dataclass(slots=True, kw_only=True)
class Scheduler:
    """`await scheduler.apply(items)`; `await scheduler.run(16)` checks them until `await scheduler.stop(grace)`."""

    reconcile: Reconcile
    queue: Queue
    journal: JournalRecords
    clock: Clock
    released: deque[str] = field(default_factory=deque)
    """Ids of items that need not wait any longer, because their store or host answers again. Emptied after a check."""
    chance: Callable[[], float] = random  # uniform in [0, 1)
    _records: ScheduledRecords = field(init=False)
    _items: ScheduledItems = field(default_factory=ScheduledItems, init=False)
    _waiting: Waiting = field(init=False)
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _running: dict[str, asyncio.Event] = field(default_factory=dict, init=False)
    """The items that are being checked, by id; each event is set when the check has ended."""

    def __post_init__(self) -> None:
        self._records = ScheduledRecords(self.journal, self.clock, self.chance)
        self._waiting = Waiting(self.queue, self.clock, self._items.lane)

    @property
    def journal_problem(self) -> str | None:
        """Why nothing is checked; None while the journal can be written."""
        return self._records.problem

    async def run(self, concurrency: int) -> None:
        """Check items when they are due, `concurrency` at a time, until stopped or cancelled."""
        beside = [asyncio.create_task(self._follow_clock()), asyncio.create_task(self._waiting.run())]
        try:
            await self.queue.run(self._check, concurrency)
        finally:
            await drain(beside)

    async def stop(self, grace: float) -> None:
        """Begin no more checks; running ones have `grace` seconds to end, and are then cancelled and awaited."""
        await self.queue.stop(grace)

    # ── the desired set ──────────────────────────────────────────────────────────────────────────
    async def apply(self, items: Mapping[str, Item], changed_stores: Collection[str] = ()) -> Difference:
        """Make `items` (by id) the desired ones, and return the difference, once the checks that it voids have ended.

        Unchanged items go on, running or not. New items are checked now, or at the time in the journal; changed ones
        now (under cron, both at its time). A running check of a changed item is cancelled and repeated, one of a
        removed item is cancelled. A new schedule or name cancels nothing. Items of `changed_stores` (names) count as
        changed. Files of folders are not touched. The caller updates the journal's rows of removed and renamed items;
        `renamed` has also new items that are recorded with another entry.
        """
        async with self._applying:
            wanted, before, found = ItemsInForce.of(items), self._items.mirrors, Difference()
            async for item_id in cooperatively(wanted.changed_since(before, changed_stores), _COMPARED):
                if item_id is not None:
                    found.compare(item_id, before, wanted, changed_stores)
            await self._expect(found, wanted)
            taken, voided = self._use(wanted, changed_stores)
            await self._carry_out(found, taken)
        await self._void(voided)
        return found

    async def submit(self, item: Item) -> None:
        """Check a file of a folder now, after its running check if there is one, until it is done; then forget it.

        Another definition of the file cancels the running check. Waits while there are too many unfinished files. The
        object of an item that is gone is not deleted while it is that of a mirror.
        """
        while self._items.files >= MOST_FILES and not self._items.is_file(item.id):
            await self._items.file_left()
        if item.gone and self._items.get(item.id) is not None and not self._items.is_file(item.id):
            return
        before, now = self._items.get(item.id), self.clock.now()
        self._items.put_file(ScheduledItem(item, now, now))
        if before is not None and not same_work(before.item, item):
            await self._cancelled(item.id)
        await self.queue.enqueue(item.id, lane=item.entry)

    async def withdraw(self, entry: str) -> None:
        """Forget the unfinished files of a folder, and cancel and await their running checks."""
        gone = self._items.files_of(entry)
        for item_id in gone:
            self._items.remove_file(item_id)
        await self._void(gone)

    async def trigger(self, item_id: str) -> bool:
        """Check the item now, before all others; False if it is not scheduled."""
        scheduled = self._items.get(item_id)
        if scheduled is None:
            return False
        scheduled.due = self.clock.now()
        self._items.save(scheduled)
        await self.queue.enqueue(item_id, FIRST)
        return True

    async def check_soon(self, item_ids: Iterable[str]) -> None:
        """Check these items now, in their turn, whatever their schedules say."""
        async for item_id in cooperatively(item_ids):
            await self._now(item_id)

    def item(self, item_id: str) -> Item | None:
        """A desired item, or an unfinished file of a folder; None: there is none with this id."""
        scheduled = self._items.get(item_id)
        return scheduled.item if scheduled else None

    def entry_of(self, item_id: str) -> str | None:
        """The entry of a desired item, without files of folders; None: there is none with this id."""
        return self._items.mirrors.entry_of(item_id)

    def next_check(self, item_id: str) -> float | None:
        """When the item is checked next (seconds since the epoch); None if that is not known or not planned."""
        return self._items.due(item_id)

    async def due(self) -> int:
        """How many items are due and not being checked."""
        return await self.queue.due() + self._waiting.overdue()

    async def _expect(self, found: Difference, wanted: ItemsInForce) -> None:
        """Record the added items and put their first waits into the table, a batch at a time: for a million items
        nothing else of them is in memory. An unfinished file of a folder has a record of its own."""
        now, crowd, chance = self.clock.now(), _crowd(found), self.chance
        ids = iter(found.added)
        while some := list(islice(ids, _BATCH)):
            known, new = await self._records.schedules(some), list[ScheduledItem]()
            for item_id in some:
                record, source = known.get(item_id), wanted.source(item_id)
                if record is not None and record.removed is None and record.entry != source.entry:
                    found.renamed.append(item_id)
                wait = first_wait(source, record, now, chance(), crowd)
                self._items.expect(item_id, wait)
                if (record is None or record.removed is not None) and item_id not in self._items:
                    new.append(ScheduledItem.of(wanted[item_id], wait))
            await self._records.save_new(new)
            await asyncio.sleep(0)

    def _use(self, wanted: ItemsInForce, changed_stores: Collection[str]) -> tuple[Collection[str], Sequence[str]]:
        """Make the new items the desired ones, without a pause: no check begins with an old definition after this.

        Returns the ids of unfinished files of folders that are desired items from now on, and of the items whose
        running checks have an old definition.
        """
        now, voided, running = self.clock.now(), list[str](), [self._items.get(item_id) for item_id in self._running]
        self._items.mirrors, taken = wanted, dict.fromkeys(self._items.files_in(wanted))
        for item_id in taken:
            item = wanted[item_id]
            self._items.put(ScheduledItem.of(item, first_wait(item, None, now, 0.0)))
        for checked in running:
            if checked is None or self._items.is_file(item_id := checked.item.id):
                continue
            new = wanted.get(item_id)
            if new is not None and item_id not in taken and _goes_on(checked.item, new, changed_stores):
                checked.item = new
                continue
            voided.append(item_id)
            if new is not None:
                self._items.put(ScheduledItem(new, now, now))
            else:
                self._items.remove(item_id)
        return taken, voided

    async def _carry_out(self, found: Difference, taken: Collection[str]) -> None:
        """Plan the checks by the new schedules, with pauses: a million items may have changed. A check that began since
        `_use` has the new definition, and plans the next one itself. `taken`: see `_use`; they have tickets."""
        now, crowd, wanted = self.clock.now(), _crowd(found), self._items.mirrors
        async for item_id in cooperatively(found.removed):
            self._items.remove(item_id)
            if item_id not in self._running and not self._items.is_file(item_id):
                await self._waiting.cancel(item_id)
        async for item_id in cooperatively(chain(found.changed, found.rescheduled)):
            if item_id not in self._running:
                self._items.expect(item_id, first_wait(wanted.source(item_id), None, now, self.chance(), crowd))
                await self._plan_again(item_id)
        async for item_id in cooperatively(taken):
            if item_id not in self._running:
                await self._plan_again(item_id)
        async for item_id in cooperatively(found.added):
            if item_id not in taken:
                await self._enqueue(item_id)

    async def _plan_again(self, item_id: str) -> None:
        await self._waiting.cancel(item_id)
        await self._enqueue(item_id)

    async def _void(self, item_ids: Sequence[str]) -> None:
        """Cancel and await the checks of these items; those that are still scheduled are planned again."""
        running = [item_id for item_id in item_ids if item_id in self._running]
        async for item_id in cooperatively(item_ids):
            if item_id not in self._running:
                await self._interrupt(item_id)
        await asyncio.gather(*map(self._interrupt, running))

    async def _interrupt(self, item_id: str) -> None:
        await self._cancelled(item_id)
        await self._enqueue(item_id)

    async def _cancelled(self, item_id: str) -> None:
        """Cancel the item's check, and wait until it has ended."""
        await self._waiting.cancel(item_id)
        if ended := self._running.get(item_id):
            await ended.wait()

    async def _enqueue(self, item_id: str) -> None:
        if (due := self._items.due(item_id)) is not None:
            await self._waiting.enqueue(item_id, due - self.clock.now())

    # ── one check ────────────────────────────────────────────────────────────────────────────────
    async def _check(self, item_id: str) -> None:
        """Check the item if it is still scheduled; later, if it must wait for its time or for the journal."""
        with self._registered(item_id) as scheduled:
            if scheduled is None or await self._is_postponed(scheduled):
                return
            began, name = self.clock.now(), scheduled.item.entry
            try:
                await self._records.try_write(item_id)
                try:
                    outcome = await self.reconcile(scheduled.item, scheduled.failures)
                finally:
                    if scheduled.item.entry != name:  # renamed meanwhile: it was recorded with its former name
                        await finish(self._records.rename(scheduled.item))
                self._records.works()
                await self._plan(scheduled, outcome, began)
                await self._bring_forward()
            except JournalError as error:
                self._records.failed(error)
                await self._waiting.enqueue(item_id, self._records.pause)

    @contextmanager
    def _registered(self, item_id: str) -> Iterator[ScheduledItem | None]:
        """Register the item as running; None: it is not scheduled any more."""
        ended = self._running[item_id] = asyncio.Event()
        self._waiting.begun(item_id)
        try:
            with self._items.checked(item_id) as scheduled:
                yield scheduled
        finally:
            del self._running[item_id]
            ended.set()

    async def _is_postponed(self, scheduled: ScheduledItem) -> bool:
        """Whether the check was put off: the wall clock was set back, or the journal fails."""
        early, paused = scheduled.tick - self.clock.now(), self._records.pause
        if scheduled.awaits_cron and early > CRON_EARLY:
            await self._waiting.enqueue(scheduled.item.id, early)
            return True
        if paused > 0:
            await self._waiting.enqueue(scheduled.item.id, paused)
        return paused > 0

    async def _plan(self, scheduled: ScheduledItem, outcome: Outcome, began: float) -> None:
        """Plan the next check after `outcome`."""
        item, now = scheduled.item, self.clock.now()
        if self._items.get(item.id) is not scheduled:
            return  # submitted again meanwhile: that submission counts
        retried = outcome.state is State.RETRYING and outcome.retry_in is not None
        scheduled.failures = outcome.failures_after(scheduled.failures) if retried else 0
        wait = next_wait(item.options.schedule, outcome, scheduled.tick, began, now, self.chance())
        if self._items.is_file(item.id) and _is_done(outcome):
            self._items.remove_file(item.id)
            return
        scheduled.expect(wait)
        if wait is not None:
            await self._waiting.enqueue(item.id, wait.due - now)
            if not retried and wait.tick - now >= WORTH_KEEPING:
                await self._records.keep_tick(item.id, wait.tick)

    async def _bring_forward(self) -> None:
        """Check released items now."""
        for _ in range(_BATCH):
            if not self.released:
                return
            await self._now(self.released.popleft())

    async def _now(self, item_id: str) -> None:
        if (scheduled := self._items.get(item_id)) is not None:
            scheduled.due = min(scheduled.due or inf, self.clock.now())
            self._items.save(scheduled)
            await self._waiting.enqueue(item_id)

    # ── the wall clock ───────────────────────────────────────────────────────────────────────────
    async def _follow_clock(self) -> None:
        """Correct cron times after the wall clock was set, or the machine slept: the queue waits by the monotonic
        clock, which does not show either."""
        before = self.clock.now() - self.clock.monotonic()
        while True:
            await self.clock.sleep(CLOCK_EVERY)
            offset = self.clock.now() - self.clock.monotonic()
            if abs(offset - before) >= JUMP:
                _log.warning("the clock was set by %+.0f s: cron follows it", offset - before)
                await self._clock_was_set(offset - before)
                before = offset

    async def _clock_was_set(self, jump: float) -> None:
        async for item_id in cooperatively(self._items.cron_ids()):
            scheduled, now = self._items.get(item_id), self.clock.now()
            if scheduled is not None and scheduled.awaits_cron and item_id not in self._running:
                scheduled.tick = scheduled.due = tick_after_jump(
                    scheduled.item.options.schedule, scheduled.tick, now, jump
                )
                self._items.save(scheduled)
                await self._waiting.enqueue(item_id, scheduled.tick - now)


def _crowd(found: Difference) -> int:
    return len(found.added) + len(found.changed) + len(found.rescheduled)


def _goes_on(before: Item, item: Item, changed_stores: Collection[str]) -> bool:
    """Whether a running check of an item goes on with its new definition."""
    return item.destination.store not in changed_stores and same_work(before, item)


def _is_done(outcome: Outcome) -> bool:
    """Whether a folder's file needs no more checks: it is at the store, or gone. Its folder detects the next change."""
    return outcome.state in (State.SYNCED, State.SUSPENDED) or outcome.reason is Reason.SOURCE_MISSING
