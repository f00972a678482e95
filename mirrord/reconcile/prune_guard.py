"""Records and reports an entry whose deletions the guard refused: its items are Blocked (PruneGuard).

Used for missing files of folders and for items that left the manifests. `planning.decisions.prune` has the rule.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.frozen import frozen
from mirrord.model import Condition, Item, Record, State
from mirrord.ports import Clock, JournalRecords, Observer

_BATCH = 500


@frozen
class BlockedDeletions:
    """The items of one entry whose objects are not deleted. Only the first of them is reported as an event."""

    journal: JournalRecords
    observer: Observer
    clock: Clock

    async def block(self, items: Iterable[tuple[Item, Record]], message: str, *, report: bool = True) -> bool:
        """Record that these are Blocked; `report`: the first, if it is new. Returns whether none was new, so that one
        of further items is to be reported. Raises JournalError."""
        left = iter(items)
        while some := list(islice(left, _BATCH)):
            blocked = [(item, record, self._blocked(record, message)) for item, record in some]
            news = [(item, new) for item, record, new in blocked if new != record]
            await self.journal.save_all([new for _, new in news])
            if report and news:
                self.observer(ItemBlocked(item=news[0][0], reason=Reason.PRUNE_GUARD, message=message))
                report = False
            await asyncio.sleep(0)
        return report

    def _blocked(self, record: Record, message: str) -> Record:
        same = record.condition.reason is Reason.PRUNE_GUARD
        blocked = Condition(
            state=State.BLOCKED,
            reason=Reason.PRUNE_GUARD,
            message=message,
            since=record.condition.since if same else self.clock.now(),
        )
        return replace(record, condition=blocked, removed=None)
