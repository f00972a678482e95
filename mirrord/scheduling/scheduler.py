"""The desired items and when each is looked at next: what a running daemon adds to `reconcile`.

Owns the items by id, their failures in a row and the tick each waits for. When that is, `planning.timing.schedule`
says; the queue waits and bounds; the reconciler looks. Refuses to read manifests: a reload hands on the whole desired
set, and only what differs is touched. A journal that cannot be written pauses every look by a back-off;
`journal_problem` says so to whoever asks for readiness.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from logging import getLogger
from math import inf
from random import random

from mirrord.aio import drain, in_turns
from mirrord.errors import JournalError, Reason
from mirrord.model import Condition, Item, Outcome, Record, State
from mirrord.planning.items.difference import Difference, difference, same_work
from mirrord.planning.timing.backoff import Backoff, pause
from mirrord.planning.timing.schedule import CRON_EARLY, Wait, first_look, next_look, tick_after_jump
from mirrord.ports import Clock, JournalRecords, Queue

_log = getLogger(__name__)

WORTH_KEEPING = 60.0
"""Seconds: a next look at least this far away is journaled, so that a restart need not look at everything."""
CLOCK_EVERY = 30.0
"""Seconds between two comparisons of the wall clock with the monotonic one."""
JUMP = 1.0
"""Seconds by which they must differ from before for the wall clock to have been set."""
FIRST = -3600.0
"""The delay of what a person asked for: before all that is due."""
MOST_FILES = 20_000
"""Unsettled files of folders that are held; whoever submits one more waits."""
_ASKED = 200  # records of one question: their price on the loop is a few milliseconds
_BATCH = 1_000  # items between two turns of the loop, and in one commit
_JOURNAL = Backoff(base=0.5, cap=30.0, jitter=0.5)

Look = Callable[[Item, int], Awaitable[Outcome]]
"""`Reconciler.reconcile`: one look at an item that failed so many times in a row. Raises JournalError only."""


@dataclass(slots=True)
class Place:
    """One item among the desired ones. Times are seconds since the epoch."""

    item: Item
    tick: float
    due: float | None  # None: not before the manifest changes, or a person asks
    failures: int = 0

    @classmethod
    def of(cls, item: Item, wait: Wait | None) -> "Place":
        return cls(item, wait.tick, wait.due) if wait else cls(item, 0.0, None)

    @property
    def awaits_cron(self) -> bool:
        """Whether it waits for a time of the wall clock: not for a retry, nor for an interval."""
        return self.item.options.cron is not None and self.due == self.tick

    def expect(self, wait: Wait | None) -> None:
        """Wait for another time."""
        self.due = wait.due if wait else None
        self.tick = wait.tick if wait else self.tick


@dataclass(slots=True, kw_only=True)
class Scheduler:
    """`await scheduler.apply(items)`; `await scheduler.run(16)` looks at them until `await scheduler.stop(grace)`."""

    look: Look
    queue: Queue
    journal: JournalRecords
    clock: Clock
    chance: Callable[[], float] = random  # uniform in [0, 1)
    journal_problem: str = field(default="", init=False)
    """Why nothing is looked at; empty while the journal can be written."""
    _places: dict[str, Place] = field(default_factory=dict, init=False)
    _files: set[str] = field(default_factory=set, init=False)  # ids of those places that `submit` made
    _room: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _journal_failures: int = field(default=0, init=False)
    _paused_until: float = field(default=0.0, init=False)  # monotonic
    _released: deque[str] = field(default_factory=deque, init=False)
    _running: dict[str, asyncio.Event] = field(default_factory=dict, init=False)
    """The items that are being checked, by id; each event is set when the check has ended."""

    async def run(self, concurrency: int) -> None:
        """Look at items when they are due, `concurrency` at a time, until stopped or cancelled."""
        following = asyncio.create_task(self._follow_clock())
        try:
            await self.queue.run(self._turn, concurrency)
        finally:
            await drain([following])

    async def stop(self, grace: float) -> None:
        """Begin no more looks; those that run have `grace` seconds to end, and are then cancelled and awaited."""
        await self.queue.stop(grace)

    # ── the desired set ──────────────────────────────────────────────────────────────────────────
    async def apply(self, items: Mapping[str, Item], changed_stores: Collection[str] = ()) -> Difference:
        """Make `items` (by id) the desired ones, and return what that changed, once what it voided has ended.

        Who is as before goes on untouched, running or not. New items are looked at now, or when the journal says;
        changed ones now (under cron, both at its time), and a look that ran for one is cancelled and begun again, as
        it is cancelled for a removed one. A new schedule or name cancels nothing. Items of `changed_stores` (names)
        count as changed. Files of folders are not touched. The journal's rows of removed items are the caller's.
        """
        async with self._applying:
            records = await self._recorded(items.keys() - self._places.keys())
            standing = {item_id: place.item for item_id, place in self._places.items() if item_id not in self._files}
            found = difference(standing, items, changed_stores)
            arrivals = self._arrivals(found, records)
            await self._save_new(arrivals, records)
            self._enter(found, arrivals)
        await self._carry_out(found)
        return found

    async def submit(self, item: Item) -> None:
        """Look at a file of a folder now, after the look that runs if one does, until it is settled; then forget it.

        Another definition of it cancels what runs. Waits while too many files are unsettled.
        """
        while len(self._files) >= MOST_FILES and item.id not in self._files:
            self._room.clear()
            await self._room.wait()
        before, now = self._places.get(item.id), self.clock.now()
        if before is None:
            self._files.add(item.id)
        self._places[item.id] = Place(item, now, now)
        if before is not None and not same_work(before.item, item):
            await self._cancelled(item.id)
        await self.queue.enqueue(item.id)

    async def withdraw(self, entry: str) -> None:
        """Forget the unsettled files of a folder, and cancel and await what runs for them."""
        gone = [item_id for item_id in self._files if self._places[item_id].item.entry == entry]
        for item_id in gone:
            del self._places[item_id]
            self._leave_files(item_id)
        await self._void(gone)

    async def trigger(self, item_id: str) -> bool:
        """Look at the item now, before all others; False if it is none of the desired ones."""
        place = self._places.get(item_id)
        if place is None:
            return False
        place.due = self.clock.now()
        await self.queue.enqueue(item_id, FIRST)
        return True

    def item(self, item_id: str) -> Item | None:
        """A desired item, or an unsettled file of a folder."""
        place = self._places.get(item_id)
        return place.item if place else None

    def next_check(self, item_id: str) -> float | None:
        """When the item is looked at next (seconds since the epoch); None if that is not known or not planned."""
        place = self._places.get(item_id)
        return place.due if place else None

    def _arrivals(self, found: Difference, records: Mapping[str, Record]) -> Sequence[Place]:
        now, crowd = self.clock.now(), _crowd(found)
        return [
            Place.of(item, first_look(item, records.get(item.id), now, self.chance(), crowd)) for item in found.added
        ]

    def _enter(self, found: Difference, arrivals: Sequence[Place]) -> None:
        """Put the new desired set in its places, in one step."""
        now, crowd, running = self.clock.now(), _crowd(found), self._running
        for item_id in found.removed:
            del self._places[item_id]
        for place in arrivals:
            self._places[place.item.id] = place
            self._leave_files(place.item.id)
        for item in found.changed:
            soon = first_look(item, None, now, self.chance(), crowd)
            self._places[item.id] = Place.of(item, Wait(now, now) if item.id in running else soon)
        for item in (*found.renamed, *found.rescheduled):
            self._places[item.id].item = item
        for item in found.rescheduled:
            if item.id not in running:
                self._places[item.id].expect(first_look(item, None, now, self.chance(), crowd))

    async def _carry_out(self, found: Difference) -> None:
        """Void what runs for definitions that are gone; those that only wait are not kept waiting by that."""
        running = set(self._running)
        for number, item in enumerate((*found.added, *found.changed, *found.rescheduled)):
            if item.id not in running:
                await self.queue.cancel(item.id)
                await self._await_turn(item.id)
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
        await self._void([*found.removed, *(item.id for item in found.changed if item.id in running)])

    async def _void(self, item_ids: Sequence[str]) -> None:
        running = set(self._running)
        for item_id in item_ids:
            if item_id not in running:
                await self.queue.cancel(item_id)
        await asyncio.gather(*(self._interrupt(item_id) for item_id in item_ids if item_id in running))

    async def _interrupt(self, item_id: str) -> None:
        await self._cancelled(item_id)
        await self._await_turn(item_id)

    async def _cancelled(self, item_id: str) -> None:
        """Cancel the item's check, and wait until it has ended."""
        await self.queue.cancel(item_id)
        if ended := self._running.get(item_id):
            await ended.wait()

    async def _await_turn(self, item_id: str) -> None:
        place = self._places.get(item_id)
        if place is not None and place.due is not None:
            await self.queue.enqueue(item_id, place.due - self.clock.now())

    def _leave_files(self, item_id: str) -> None:
        self._files.discard(item_id)
        self._room.set()

    # ── one look ─────────────────────────────────────────────────────────────────────────────────
    async def _turn(self, item_id: str) -> None:
        ended = self._running[item_id] = asyncio.Event()
        try:
            if (place := self._places.get(item_id)) is not None:
                await self._look_at(item_id, place)
        finally:
            del self._running[item_id]
            ended.set()

    async def _look_at(self, item_id: str, place: Place) -> None:
        if place.awaits_cron and (early := place.tick - self.clock.now()) > CRON_EARLY:  # the clock was set back
            await self.queue.enqueue(item_id, early)
            return
        if (paused := self._paused_until - self.clock.monotonic()) > 0:
            await self.queue.enqueue(item_id, paused)
            return
        began = self.clock.now()
        try:
            if self.journal_problem:
                await self._try_journal(item_id)
            outcome = await self.look(place.item, place.failures)
            self._journal_works()
            await self._plan(place, outcome, began)
            await self._bring_forward()
        except JournalError as error:
            self._journal_failed(error)
            await self.queue.enqueue(item_id, self._paused_until - self.clock.monotonic())

    async def _plan(self, place: Place, outcome: Outcome, began: float) -> None:
        """What follows a look that came to its end."""
        item, now = place.item, self.clock.now()
        if self._places.get(item.id) is not place:
            return  # submitted again meanwhile: that wish stands
        retried = outcome.state is State.RETRYING and outcome.retry_in is not None
        place.failures = outcome.failures_after(place.failures) if retried else 0
        wait = next_look(item.options, outcome, place.tick, began, now, self.chance())
        if item.id in self._files and _is_settled(outcome):
            del self._places[item.id]
            self._leave_files(item.id)
            return
        place.expect(wait)
        if wait is not None:
            await self.queue.enqueue(item.id, wait.due - now)
            if not retried and wait.tick - now >= WORTH_KEEPING:
                await self._keep(item.id, wait.tick)

    def release(self, item_ids: Collection[str]) -> None:
        """These items need not wait any longer: what they depend on answers again."""
        self._released.extend(item_ids)

    async def _bring_forward(self) -> None:
        for _ in range(_BATCH):
            if not self._released:
                return
            item_id = self._released.popleft()
            if (place := self._places.get(item_id)) is not None:
                place.due = min(place.due or inf, self.clock.now())
                await self.queue.enqueue(item_id)

    # ── the wall clock ───────────────────────────────────────────────────────────────────────────
    async def _follow_clock(self) -> None:
        """The queue waits by the monotonic clock, which knows nothing of a wall clock that is set, or of a machine
        that slept."""
        before = self.clock.now() - self.clock.monotonic()
        while True:
            await self.clock.sleep(CLOCK_EVERY)
            offset = self.clock.now() - self.clock.monotonic()
            if abs(offset - before) >= JUMP:
                _log.warning("the clock was set by %+.0f s: cron follows it", offset - before)
                await self._clock_was_set(offset - before)
                before = offset

    async def _clock_was_set(self, jump: float) -> None:
        async for place in in_turns(list(self._places.values())):
            item_id, now = place.item.id, self.clock.now()
            if place.awaits_cron and self._places.get(item_id) is place and item_id not in self._running:
                place.tick = place.due = tick_after_jump(place.item.options, place.tick, now, jump)
                await self.queue.enqueue(item_id, place.tick - now)

    # ── the journal ──────────────────────────────────────────────────────────────────────────────
    async def _recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        """What the journal knows of these; nothing while it cannot be read."""
        try:
            found: dict[str, Record] = {}
            wanted = iter(item_ids)
            while batch := list(islice(wanted, _ASKED)):
                found |= await self.journal.recorded(batch)
        except JournalError as error:
            self._journal_failed(error)
            return {}
        return found

    async def _save_new(self, arrivals: Iterable[Place], records: Mapping[str, Record]) -> None:
        """New items are shown before the first look at them, and those that came back are shown again."""
        now = self.clock.now()
        made = (_made(place, records.get(place.item.id), now) for place in arrivals)
        rows = (record for record in made if record is not None)
        try:
            while batch := list(islice(rows, _BATCH)):
                await self.journal.save_all(batch)
        except JournalError as error:
            self._journal_failed(error)

    async def _keep(self, item_id: str, tick: float) -> None:
        record = await self.journal.record(item_id)
        if record is not None and record.condition.next_check != tick:
            await self.journal.save(replace(record, condition=replace(record.condition, next_check=tick)))

    async def _try_journal(self, item_id: str) -> None:
        """Write something, for a full disk can still be read."""
        if record := await self.journal.record(item_id):
            await self.journal.save(record)

    def _journal_works(self) -> None:
        if self.journal_problem:
            _log.warning("the journal works again")
        self.journal_problem, self._journal_failures = "", 0

    def _journal_failed(self, error: JournalError) -> None:
        """Pause every look; the first failure of a wave of them counts."""
        if not self.journal_problem:
            _log.error("the journal fails, nothing is looked at meanwhile: %s", error)
        self.journal_problem = str(error)
        if self.clock.monotonic() >= self._paused_until:
            self._journal_failures += 1
            wait = pause(_JOURNAL, self._journal_failures, self.chance())
            self._paused_until = self.clock.monotonic() + wait


def _crowd(found: Difference) -> int:
    return len(found.added) + len(found.changed) + len(found.rescheduled)


def _is_settled(outcome: Outcome) -> bool:
    """Whether a folder's file needs no more looks: it stands at the store, or is gone; its folder sees it change."""
    return outcome.state in (State.SYNCED, State.SUSPENDED) or outcome.reason is Reason.SOURCE_MISSING


def _made(place: Place, record: Record | None, now: float) -> Record | None:
    """The record of a new item; None if the one that stands is right."""
    item = place.item
    if record is not None:
        return replace(record, entry=item.entry, source=item.shown_source, removed=None) if record.removed else None
    waits = item.options.cron is not None
    return Record(
        item_id=item.id,
        entry=item.entry,
        source=item.shown_source,
        destination=item.destination,
        condition=Condition(
            state=State.WAITING if waits else State.PENDING,
            reason=Reason.SCHEDULE if waits else None,
            since=now,
            next_check=place.due if waits else None,
        ),
    )
