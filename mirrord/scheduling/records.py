"""What the scheduler reads from the journal and writes to it, and the pause after a failure.

Owns the records of new items, the time of the next check for the case of a restart, and the back-off while the journal
fails. A failed read or write loses nothing: the items are checked anyway.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from logging import getLogger

from mirrord.errors import JournalError, Reason
from mirrord.model import Condition, Item, Record, RecordedSchedule, State
from mirrord.planning.timing.backoff import Backoff, pause
from mirrord.ports import Clock, JournalRecords
from mirrord.scheduling.items import ScheduledItem

_log = getLogger(__name__)

_ASKED = 200  # records in one query, which takes a few milliseconds of the loop
_JOURNAL = Backoff(base=0.5, cap=30.0)


class ScheduledRecords:
    """The scheduler's journal."""

    def __init__(self, journal: JournalRecords, clock: Clock, chance: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._paused_until = 0.0  # monotonic
        self.problem: str | None = None
        """Why nothing is checked; None while the journal can be written."""

    @property
    def pause(self) -> float:
        """Seconds until the next check may try the journal; 0 or less: now."""
        return self._paused_until - self._clock.monotonic()

    async def schedules(self, item_ids: Collection[str]) -> Mapping[str, RecordedSchedule]:
        """What is recorded of these items, by id; nothing while the journal cannot be read."""
        try:
            return await self._journal.recorded_schedules(item_ids)
        except JournalError as error:
            self.failed(error)
            return {}

    async def save_new(self, added: Sequence[ScheduledItem]) -> None:
        """Record items before their first check, new ones and those that came back, so that the status shows them."""
        now = self._clock.now()
        try:
            for one in range(0, len(added), _ASKED):
                some = added[one : one + _ASKED]
                known = await self._journal.recorded([scheduled.item.id for scheduled in some])
                made = [_made(one, known.get(one.item.id), now) for one in some]
                await self._journal.save_all([record for record in made if record is not None])
        except JournalError as error:
            self.failed(error)

    async def keep_tick(self, item_id: str, tick: float) -> None:
        """Record when the item is checked next."""
        record = await self._journal.record(item_id)
        if record is not None and record.condition.next_check != tick:
            await self._journal.save(replace(record, condition=replace(record.condition, next_check=tick)))

    async def rename(self, item: Item) -> None:
        """Record the name that the item's entry has now."""
        try:
            await self._journal.rename(item.entry, [item.id])
        except JournalError as error:
            self.failed(error)

    async def try_write(self, item_id: str) -> None:
        """Write something if the journal failed before: a full disk can still be read."""
        if self.problem and (record := await self._journal.record(item_id)):
            await self._journal.save(record)

    def works(self) -> None:
        """The journal was read and written."""
        if self.problem:
            _log.warning("the journal works again")
        self.problem, self._failures = None, 0

    def failed(self, error: JournalError) -> None:
        """Pause every check. Only the first of several failures that come together counts."""
        if not self.problem:
            _log.error("the journal fails, nothing is checked meanwhile: %s", error)
        self.problem = str(error)
        if self.pause <= 0:
            self._failures += 1
            wait = pause(_JOURNAL, self._failures, 0.5 + self._chance() / 2)
            self._paused_until = self._clock.monotonic() + wait


def _made(scheduled: ScheduledItem, record: Record | None, now: float) -> Record | None:
    """The record of a new item, or of one that came back; None if the journal's record stays as it is."""
    item = scheduled.item
    if record is not None:
        return replace(record, entry=item.entry, source=item.shown_source, removed=None) if record.removed else None
    waits = item.options.schedule.cron is not None
    return Record(
        item_id=item.id,
        entry=item.entry,
        source=item.shown_source,
        destination=item.destination,
        condition=Condition(
            state=State.WAITING if waits else State.PENDING,
            reason=Reason.SCHEDULE if waits else None,
            since=now,
            next_check=scheduled.due if waits else None,
        ),
    )
