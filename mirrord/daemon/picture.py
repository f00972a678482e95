"""The current state of items, from records, files that wait in folders, and running transfers.

Owns which of these counts where they differ: a running item is Transferring; else a file that waits in its folder has
the state that the folder gives; else the item is as recorded. Lists and totals use the same rule, so that they never
contradict each other.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nsmallest

from mirrord.aio import cooperatively, drain
from mirrord.declared import FolderSpec
from mirrord.events import TransferEvent
from mirrord.folders.waiting import WaitingFile
from mirrord.model import EntryCounts, Item, Record, State, file_path
from mirrord.ports import Clock, JournalQueries
from mirrord.status import ItemStatus, Progress

FRESH_FOR = 5.0
"""While the same items run, totals are reused for this many times the duration of their count."""
LONGEST_FRESH, LONGEST_ENTRY_FRESH = 1.0, 30.0
"""Seconds, of the totals and of the counts of one entry."""
FILE_DEADLINE = 1.0
"""Seconds for the file systems to answer which files of a page are gone."""
FILE_GONE = {"keep": "its file is gone, the object stays (delete: keep)", "mirror": "its file is gone"}
"""The message of an item whose file is gone, by its folder's `delete`."""


@dataclass(slots=True)
class Totals:
    """How many items are in each state. A count is reused for a time that is proportional to its cost."""

    journal: JournalQueries
    clock: Clock
    waiting: Callable[[str | None], Iterable[WaitingFile]]
    """The files that wait: of every folder, or of the one with this name."""
    running: Callable[[], Sequence[TransferEvent]]
    last: Mapping[State, int] = field(default_factory=dict)
    _fresh_until: float = float("-inf")
    _ran: Sequence[str] = ()
    _entries: dict[str, tuple[float, EntryCounts]] = field(default_factory=dict)
    """Counts of large entries, and when each of them ends to be fresh."""
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def now(self) -> Mapping[State, int]:
        began, running = self.clock.monotonic(), [one.item.id for one in self.running()]
        if began >= self._fresh_until or running != self._ran:
            self.last = await self._count(running)
            self._ran, ended = running, self.clock.monotonic()
            self._fresh_until = ended + min(LONGEST_FRESH, FRESH_FOR * (ended - began))
        return self.last

    async def of_entry(self, entry: str, running: Collection[str]) -> tuple[Mapping[State, int], int]:
        """How many items of the entry are in each state, and the bytes of their objects; `running` are its running
        items. A million items are counted in some seconds, in steps, one large entry at a time."""
        counts = await self._entry_counts(entry)
        return await self._overlaid(counts.states, running, self.waiting(entry), entry), counts.size

    async def _entry_counts(self, entry: str) -> EntryCounts:
        if (kept := self._kept(entry)) is not None:
            return kept
        first = await self.journal.entry_counts(entry)
        if first.last is None:
            return first
        async with self._counting:
            return self._kept(entry) or await self._count_on(entry, first)

    def _kept(self, entry: str) -> EntryCounts | None:
        now = self.clock.monotonic()
        self._entries = {name: kept for name, kept in self._entries.items() if kept[0] > now}
        return self._entries[entry][1] if entry in self._entries else None

    async def _count_on(self, entry: str, first: EntryCounts) -> EntryCounts:
        began, states, size, last = self.clock.monotonic(), Counter(first.states), first.size, first.last
        while last is not None:
            counted, bytes_, last = await self.journal.entry_counts(entry, last)
            states.update(counted)
            size += bytes_
        found, ended = EntryCounts(states, size, None), self.clock.monotonic()
        self._entries[entry] = ended + min(LONGEST_ENTRY_FRESH, FRESH_FOR * (ended - began)), found
        return found

    async def _count(self, running: Sequence[str]) -> Mapping[State, int]:
        return await self._overlaid(await self.journal.totals(), running, self.waiting(None))

    async def _overlaid(
        self,
        recorded: Mapping[State, int],
        running: Collection[str],
        files: Iterable[WaitingFile],
        entry: str | None = None,
    ) -> Mapping[State, int]:
        """The `recorded` counts, of all items or of those of the entry, with what runs and waits in their place."""
        records = await self.journal.recorded(running) if running else {}
        totals, waiting = Counter(recorded), dict[str, WaitingFile]()
        for item_id in running:
            record = records.get(item_id)
            counted = record is not None and record.removed is None and entry in (None, record.entry)
            _move(totals, State.TRANSFERRING, record.condition.state if record is not None and counted else None)
        async for one in cooperatively(files):
            if one.item_id in running:
                continue
            if one.state is State.BLOCKED:  # another file with the same object may wait: that one is then shown
                waiting[one.item_id] = one
            else:
                waiting.pop(one.item_id, None)
                _move(totals, one.state, one.recorded)
        for one in waiting.values():
            _move(totals, one.state, one.recorded)
        return {state: count for state, count in totals.items() if count > 0}


def _move(totals: Counter[State], state: State, recorded: State | None) -> None:
    totals[state] += 1
    if recorded is not None:
        totals[recorded] -= 1


class Overlay:
    """Running items and waiting files that replace the records of one answer."""

    def __init__(self, running: Mapping[str, Item], progress: Callable[[str], Progress | None]) -> None:
        self._running = running
        self._progress = progress
        self._waiting: dict[str, WaitingFile] = {}

    def add(self, one: WaitingFile) -> None:
        """Of two files with the same object, the one that waits is shown, not the one in conflict."""
        if one.state is not State.BLOCKED or one.item_id not in self._waiting:
            self._waiting[one.item_id] = one

    def keep_first(self, most: int, state: State | None, wanted: Set[str]) -> None:
        """Of the waiting files keep the `wanted` ones and, by id, the first `most` others in this state."""
        shown = (one.item_id for one in self._waiting.values() if state in (None, one.state))
        known = wanted | self._running.keys()
        others = nsmallest(most, (item_id for item_id in shown if item_id not in known))
        self._waiting = {item_id: self._waiting[item_id] for item_id in (*others, *(wanted & self._waiting.keys()))}

    @property
    def running(self) -> Collection[str]:
        """The running items."""
        return self._running.keys()

    @property
    def waiting(self) -> Sequence[WaitingFile]:
        """The waiting files whose items do not run."""
        return [one for one in self._waiting.values() if one.item_id not in self._running]

    def ids(self) -> Collection[str]:
        """The items whose record is replaced."""
        return self._running.keys() | self._waiting.keys()

    def status(self, item_id: str, recorded: ItemStatus | None) -> ItemStatus | None:
        """The item as it is now; None if it is unknown."""
        if (progress := self._progress(item_id)) is not None and item_id in self._running:
            return replace(
                recorded or _unrecorded(self._running[item_id], progress),
                state=State.TRANSFERRING,
                reason=None,
                message=progress.message,
                progress=progress,
            )
        return self._waiting[item_id].status() if item_id in self._waiting else recorded


def _unrecorded(item: Item, progress: Progress) -> ItemStatus:
    """A new file of a folder: it has no record until its transfer ends."""
    at = item.destination
    return ItemStatus(
        id=item.id,
        entry=item.entry,
        source=item.shown_source,
        destination=str(at),
        store=at.store,
        state=State.TRANSFERRING,
        since=progress.started,
    )


RunInPool = Callable[[str, Callable[[], frozenset[str]]], Awaitable[frozenset[str]]]
"""The result of a blocking call about the folder at this path. Raises SourceTimedOut if it does not answer."""


async def with_gone_files(
    shown: Sequence[ItemStatus], folders: Mapping[str, FolderSpec], run_in_pool: RunInPool
) -> Sequence[ItemStatus]:
    """The same items, with a message where the file is gone and only the object is left. `folders` by entry.

    Waits at most FILE_DEADLINE seconds for file systems that do not answer; the other answers still count.
    """
    paths_of: dict[str, dict[str, str]] = {}
    for one in shown:
        path = file_path(one.source)
        if path is not None and one.entry in folders and one.state is State.SYNCED and not one.message:
            paths_of.setdefault(one.entry, {})[one.id] = path
    if not paths_of:
        return shown
    checks = [
        asyncio.ensure_future(run_in_pool(folders[entry].path, partial(_gone, paths)))
        for entry, paths in paths_of.items()
    ]
    done, late = await asyncio.wait(checks, timeout=FILE_DEADLINE)
    await drain(late)
    gone = frozenset(item_id for one in done if not one.exception() for item_id in one.result())
    return [replace(one, message=FILE_GONE[folders[one.entry].delete]) if one.id in gone else one for one in shown]


def _gone(paths: Mapping[str, str]) -> frozenset[str]:
    return frozenset(item_id for item_id, path in paths.items() if _is_gone(path))


def _is_gone(path: str) -> bool:
    """True only if the directory has no such name: after any other error the file may exist."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def recorded_status(record: Record, due: float | None) -> ItemStatus | None:
    """The item as recorded; None if it was removed. `due`: the time of its next check, if known."""
    if record.removed is not None:
        return None
    shown = record.condition if due is None else replace(record.condition, next_check=due)
    return ItemStatus.of(replace(record, condition=shown))
