"""One picture of the items: what is recorded, what waits in folders, what runs now; for lists and totals alike.

Owns which of these counts where they differ: an item that runs is Transferring, else one that its folder holds back is
what the folder says, else it is as recorded. Totals and lists both follow it, so that they cannot contradict each
other.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nsmallest

from mirrord.aio import drain, in_turns
from mirrord.declared import FolderSpec
from mirrord.events import TransferEvent
from mirrord.folders.waiting import WaitingFile
from mirrord.model import Item, Record, State, file_path
from mirrord.ports import Clock, JournalQueries
from mirrord.status import ItemStatus, Progress

FRESH_FOR = 5.0
"""Totals are shown again for so many times as long as it took to count them, while the same items run."""
LONGEST_FRESH = 1.0
"""Seconds."""
FILE_DEADLINE = 1.0
"""Seconds for the file system to say which files of a page are gone."""
FILE_GONE = {"keep": "its file is gone, the object stays (delete: keep)", "mirror": "its file is gone"}
"""What is said of an item by its folder's `delete`."""


@dataclass(slots=True)
class Totals:
    """How many items are in each state, counted again once that is worth its price."""

    journal: JournalQueries
    clock: Clock
    held: Callable[[], Iterable[WaitingFile]]
    running: Callable[[], Sequence[TransferEvent]]
    last: Mapping[State, int] = field(default_factory=dict)
    _fresh_until: float = float("-inf")
    _ran: Sequence[str] = ()

    async def now(self) -> Mapping[State, int]:
        began, running = self.clock.monotonic(), [one.item.id for one in self.running()]
        if began >= self._fresh_until or running != self._ran:
            self.last = await self._count(running)
            self._ran, ended = running, self.clock.monotonic()
            self._fresh_until = ended + min(LONGEST_FRESH, FRESH_FOR * (ended - began))
        return self.last

    async def _count(self, running: Sequence[str]) -> Mapping[State, int]:
        records = await self.journal.recorded(running)
        totals, held = Counter(await self.journal.totals()), dict[str, WaitingFile]()
        for item_id in running:
            record = records.get(item_id)
            _move(
                totals,
                State.TRANSFERRING,
                record.condition.state if record is not None and record.removed is None else None,
            )
        async for one in in_turns(self.held()):
            if one.item_id in running:
                continue
            if one.state is State.BLOCKED:  # its object may be another file's that waits, which then is what is shown
                held[one.item_id] = one
            else:
                held.pop(one.item_id, None)
                _move(totals, one.state, one.recorded)
        for one in held.values():
            _move(totals, one.state, one.recorded)
        return {state: count for state, count in totals.items() if count > 0}


def _move(totals: Counter[State], state: State, recorded: State | None) -> None:
    totals[state] += 1
    if recorded is not None:
        totals[recorded] -= 1


class Overlay:
    """What runs and what is held back, of the items that one answer is about."""

    def __init__(self, running: Mapping[str, Item], progress: Callable[[str], Progress | None]) -> None:
        self._running = running
        self._progress = progress
        self._held: dict[str, WaitingFile] = {}

    def hold(self, one: WaitingFile) -> None:
        """A file that waits is shown rather than one that is in conflict over the same object."""
        if one.state is not State.BLOCKED or one.item_id not in self._held:
            self._held[one.item_id] = one

    def keep_first(self, most: int, state: State | None, wanted: Set[str]) -> None:
        """Of those held back keep the `wanted` ones and, by their ids, the first of the others in this state."""
        shown = (one.item_id for one in self._held.values() if state in (None, one.state))
        known = wanted | self._running.keys()
        others = nsmallest(most, (item_id for item_id in shown if item_id not in known))
        self._held = {item_id: self._held[item_id] for item_id in (*others, *(wanted & self._held.keys()))}

    def ids(self) -> Collection[str]:
        """All that have something laid over them."""
        return self._running.keys() | self._held.keys()

    def status(self, item_id: str, recorded: ItemStatus | None) -> ItemStatus | None:
        """The item as it is now; None: it is not known."""
        if (progress := self._progress(item_id)) is not None and item_id in self._running:
            return replace(
                recorded or _unrecorded(self._running[item_id], progress),
                state=State.TRANSFERRING,
                reason=None,
                message=progress.message,
                progress=progress,
            )
        return self._held[item_id].status() if item_id in self._held else recorded


def _unrecorded(item: Item, progress: Progress) -> ItemStatus:
    """A new file of a folder: it is recorded once it was sent."""
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


Ask = Callable[[str, Callable[[], frozenset[str]]], Awaitable[frozenset[str]]]
"""The result of a blocking call about the folder at this path. Raises SourceTimedOut if it does not answer."""


async def with_gone_files(
    shown: Sequence[ItemStatus], folders: Mapping[str, FolderSpec], ask: Ask
) -> Sequence[ItemStatus]:
    """The same, saying of which files nothing but the object is left. `folders` by entry.

    The wait for file systems that do not answer is bounded, and spares the others.
    """
    asked: dict[str, dict[str, str]] = {}
    for one in shown:
        path = file_path(one.source)
        if path is not None and one.entry in folders and one.state is State.SYNCED and not one.message:
            asked.setdefault(one.entry, {})[one.id] = path
    if not asked:
        return shown
    asking = [asyncio.ensure_future(ask(folders[entry].path, partial(_gone, paths))) for entry, paths in asked.items()]
    done, late = await asyncio.wait(asking, timeout=FILE_DEADLINE)
    await drain(late)
    gone = frozenset(item_id for one in done if not one.exception() for item_id in one.result())
    return [replace(one, message=FILE_GONE[folders[one.entry].delete]) if one.id in gone else one for one in shown]


def _gone(paths: Mapping[str, str]) -> frozenset[str]:
    return frozenset(item_id for item_id, path in paths.items() if _is_gone(path))


def _is_gone(path: str) -> bool:
    """Only where the directory says that the name is not there: what cannot be asked may stand."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def recorded_status(record: Record, due: float | None) -> ItemStatus | None:
    """The item as recorded; None if it is no item any more. `due`: when it is checked next, if that is known."""
    if record.removed is not None:
        return None
    shown = record.condition if due is None else replace(record.condition, next_check=due)
    return ItemStatus.of(replace(record, condition=shown))
