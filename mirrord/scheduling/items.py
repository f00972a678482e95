"""The scheduled items: the time for which each waits, and which of them are files of folders.

Owns the table. `planning.timing.schedule` decides when an item is due; `scheduling.scheduler` acts on it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirrord.model import Item
from mirrord.planning.timing.schedule import Wait


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
    """By id: the items of mirrors, and the unfinished files of folders."""

    def __init__(self) -> None:
        self._items: dict[str, ScheduledItem] = {}
        self._files: set[str] = set()
        self._file_left = asyncio.Event()

    def __iter__(self) -> Iterator[ScheduledItem]:
        return iter(tuple(self._items.values()))

    def __getitem__(self, item_id: str) -> ScheduledItem:
        return self._items[item_id]

    def get(self, item_id: str) -> ScheduledItem | None:
        return self._items.get(item_id)

    def is_file(self, item_id: str) -> bool:
        """Whether it is an unfinished file of a folder."""
        return item_id in self._files

    @property
    def files(self) -> int:
        """How many unfinished files of folders there are."""
        return len(self._files)

    def files_of(self, entry: str) -> list[str]:
        """The ids of a folder's unfinished files."""
        return [item_id for item_id in self._files if self._items[item_id].item.entry == entry]

    def of_mirrors(self) -> Mapping[str, Item]:
        """The items that are not files of folders, by id."""
        return {item_id: one.item for item_id, one in self._items.items() if item_id not in self._files}

    def put(self, scheduled: ScheduledItem) -> None:
        """Schedule an item of a mirror; a file of a folder with this id becomes one."""
        self._items[scheduled.item.id] = scheduled
        self._remove_file(scheduled.item.id)

    def put_file(self, scheduled: ScheduledItem) -> None:
        """Schedule a file of a folder; an item of a mirror with this id stays one."""
        if scheduled.item.id not in self._items:
            self._files.add(scheduled.item.id)
        self._items[scheduled.item.id] = scheduled

    def replace(self, scheduled: ScheduledItem) -> None:
        """The item has this schedule from now on."""
        self._items[scheduled.item.id] = scheduled

    def remove(self, item_id: str) -> None:
        """The item is no longer scheduled."""
        del self._items[item_id]
        self._remove_file(item_id)

    async def file_left(self) -> None:
        """Wait until the next file is removed."""
        self._file_left.clear()
        await self._file_left.wait()

    def _remove_file(self, item_id: str) -> None:
        self._files.discard(item_id)
        self._file_left.set()
