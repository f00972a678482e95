"""The scheduled items: the time for which each waits, and which of them are files of folders.

Owns the table. An item of a mirror takes 28 bytes in it; a `ScheduledItem` is kept only of items that are being checked
or that are files of folders. `planning.timing.schedule` decides when an item is due; `scheduling.scheduler` acts on it.
"""

import asyncio
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan, nan

from mirrord.model import IdTable, Item
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.timing.schedule import Wait

_MOST_FAILURES = 2**32 - 1


@dataclass(slots=True)
class ScheduledItem:
    """One item among the desired ones. Times are seconds since the epoch."""

    item: Item
    tick: float
    due: float | None  # None: not before the manifest changes or a user asks
    failures: int = 0

    @classmethod
    def of(cls, item: Item, wait: Wait | None) -> "ScheduledItem":
        return cls(item, wait.tick, wait.due) if wait else cls(item, 0.0, None)

    @property
    def awaits_cron(self) -> bool:
        """Whether it waits for a time of the wall clock, and not for a retry or an interval."""
        return self.item.options.schedule.cron is not None and self.due == self.tick

    def expect(self, wait: Wait | None) -> None:
        """Wait for another time."""
        self.due = wait.due if wait else None
        self.tick = wait.tick if wait else self.tick


class ScheduledItems:
    """By id: the items of mirrors and lists, and the unfinished files of folders."""

    def __init__(self) -> None:
        self.mirrors = ItemsInForce()
        """All but the files of folders. Each of them must be scheduled (`put`)."""
        self._times = IdTable("ddI")  # tick, due and failures of mirrors' items; not a number: see `ScheduledItem.due`
        self._kept: dict[str, ScheduledItem] = {}  # being checked, or a file
        self._checked: set[str] = set()
        self._files: set[str] = set()
        self._file_left = asyncio.Event()

    def get(self, item_id: str) -> ScheduledItem | None:
        """The item; None: it is not scheduled. Changes of it count once it was `put`."""
        if (kept := self._kept.get(item_id)) is not None:
            return kept
        times, item = self._times.get(item_id), self.mirrors.get(item_id)
        if times is None or item is None:
            return None
        return ScheduledItem(item, times[0], None if isnan(times[1]) else times[1], times[2])

    def due(self, item_id: str) -> float | None:
        """See `ScheduledItem`; None also of an item that is not scheduled."""
        if (kept := self._kept.get(item_id)) is not None:
            return kept.due
        times = self._times.get(item_id)
        return None if times is None or isnan(times[1]) else times[1]

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._kept or item_id in self.mirrors

    def cron_ids(self) -> Iterator[str]:
        """The ids of items with `cron`; the items may change meanwhile."""
        kept = [item_id for item_id, one in self._kept.items() if one.item.options.schedule.cron is not None]
        yield from kept
        for item_id, item in self.mirrors.mirrors.items():
            if item.options.schedule.cron is not None:
                yield item_id
        for rows in self.mirrors.lists:
            if rows.spec.options.schedule.cron is not None:
                yield from rows

    def lane(self, item_id: str) -> str:
        """With which items it shares its turns in the queue: those of its list or folder, or all single mirrors."""
        if item_id in self._files:
            return self._kept[item_id].item.entry
        return self.mirrors.list_of(item_id) or ""

    def is_file(self, item_id: str) -> bool:
        """Whether it is an unfinished file of a folder."""
        return item_id in self._files

    @property
    def files(self) -> int:
        """How many unfinished files of folders there are."""
        return len(self._files)

    def files_in(self, items: Container[str]) -> list[str]:
        """The ids of the unfinished files of folders that these items have, too."""
        return [item_id for item_id in self._files if item_id in items]

    def files_of(self, entry: str) -> list[str]:
        """The ids of a folder's unfinished files."""
        return [item_id for item_id in self._files if self._kept[item_id].item.entry == entry]

    @contextmanager
    def checked(self, item_id: str) -> Iterator[ScheduledItem | None]:
        """The item while it is checked: `get` returns this object, until another one is put."""
        self._checked.add(item_id)
        try:
            scheduled = self.get(item_id)
            if scheduled is not None:
                self._kept[item_id] = scheduled
            yield scheduled
        finally:
            self._checked.discard(item_id)
            if (last := self._kept.get(item_id)) is not None and item_id not in self._files:
                self.put(last)

    def put(self, scheduled: ScheduledItem) -> None:
        """The item of a mirror has this schedule from now on; a file of a folder with this id becomes one."""
        item_id = scheduled.item.id
        due = nan if scheduled.due is None else scheduled.due
        self._times.put(item_id, scheduled.tick, due, min(scheduled.failures, _MOST_FAILURES))
        if item_id in self._checked:
            self._kept[item_id] = scheduled
        else:
            self._kept.pop(item_id, None)
        self._end_file(item_id)

    def expect(self, item_id: str, wait: Wait | None) -> None:
        """An item that is one of `mirrors`, or will be, has this wait, and no failures. It must be no file of a folder,
        and not being checked."""
        tick, due = (wait.tick, wait.due) if wait is not None else (0.0, nan)
        self._times.put(item_id, tick, due, 0)

    def put_file(self, scheduled: ScheduledItem) -> None:
        """Schedule a file of a folder; an item of a mirror with this id stays one."""
        item_id = scheduled.item.id
        if item_id not in self:
            self._files.add(item_id)
        self._kept[item_id] = scheduled

    def save(self, scheduled: ScheduledItem) -> None:
        """The changed schedule of an item, which is what it was."""
        if scheduled.item.id not in self._files:
            self.put(scheduled)

    def remove(self, item_id: str) -> None:
        """The item of a mirror is no longer scheduled; a file of a folder with this id stays."""
        self._times.discard(item_id)
        if item_id not in self._files:
            self._kept.pop(item_id, None)

    def remove_file(self, item_id: str) -> None:
        """The file of a folder is done; the next item of a mirror with this id keeps its wait."""
        self._kept.pop(item_id, None)
        self._end_file(item_id)

    async def file_left(self) -> None:
        """Wait until the next file is removed."""
        self._file_left.clear()
        await self._file_left.wait()

    def _end_file(self, item_id: str) -> None:
        if item_id in self._files:
            self._files.discard(item_id)
            self._file_left.set()
