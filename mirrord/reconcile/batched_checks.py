"""Checks of a daemon's items, of which those of new small files that are due together are sent as batches.

Owns which check joins a batch, how many batches run, and what each member's check returns. `file_batch` sends one
batch. A member's check is a check like any other: its item is never checked twice at a time, it can be cancelled, and
what follows a check (`after_upload`, the next attempt) follows it too. Nothing is waited for: a batch has the files
whose checks have begun when there is room for one. Where there is none, the first files of a folder get checks of their
own, so that a single file never waits for a batch of another folder.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from mirrord.aio import drain
from mirrord.declared import FolderSpec
from mirrord.errors import StoreUnavailable
from mirrord.model import Item, Outcome, Record, Revision
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.new_files import is_small, needs_only_a_put
from mirrord.reconcile.batch_pace import BatchPace
from mirrord.reconcile.file_batch import MOST_FILES, FileBatches, NewFile

AT_A_TIME = 6
"""Batches. Together they have at most as many bytes as three full ones."""
OF_A_FOLDER = 4
"""Batches of one folder at a time: another folder's files find room for one. See `BatchPace`, too."""
_MOST_FULL = 3
MOST_WAITING = MOST_FILES
"""Files of one folder that wait for a batch, and do not count as checks meanwhile."""


class Checks(Protocol):
    """Checks of single items, see `Reconciler`. Both methods raise JournalError only."""

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome: ...

    async def record_failed(self, item: Item, outcome: Outcome) -> Outcome:
        """Record the outcome of a first attempt that failed in a batch."""


class ArrivalListings(Protocol):
    """See `StoreListings`."""

    def arrive(self, item: Item, *, just_appeared: bool) -> None: ...

    async def verdict(self, item: Item, record: Record | None) -> Verdict: ...


class _Member:
    """One file of a batch, whose check waits. `outcome`: None: the file needs its own check."""

    def __init__(self, new: NewFile) -> None:
        self.new = new
        self.outcome: asyncio.Future[tuple[Outcome, bool] | None] = asyncio.get_running_loop().create_future()
        self.batch: asyncio.Task[None] | None = None

    def end(self, result: tuple[Outcome, bool] | None) -> None:
        """The batch is done with the file: (outcome, whether it is recorded), or None."""
        if not self.outcome.done():
            self.outcome.set_result(result)

    def fail(self, error: BaseException) -> None:
        """The batch raised an error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


@dataclass(slots=True)
class _Crowd:
    """The files of one folder that wait for a batch, in the order of their checks."""

    waiting: deque[_Member] = field(default_factory=deque)
    batches: set[asyncio.Task[None]] = field(default_factory=set)
    """Those that run."""
    files: int = 0
    """Of those that run; a batch that has not begun counts as a full one."""

    def taken(self, most_bytes: int) -> list[_Member]:
        """The members of the next batch."""
        taken: list[_Member] = []
        size = 0
        while self.waiting and len(taken) < MOST_FILES:
            size += self.waiting[0].new.file.size
            if taken and size > most_bytes:
                break
            taken.append(self.waiting.popleft())
        return taken


class _Members:
    """The members of one batch, by item id: what `FileBatches.send` reports about each ends its wait."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = {one.new.item.id: one for one in members}

    def synced(self, item: Item, outcome: Outcome) -> None:
        """See `Ended`."""
        self._members[item.id].end((outcome, True))

    def left(self, item: Item, failed: Outcome | None) -> None:
        """See `Ended`."""
        self._members[item.id].end(None if failed is None else (failed, False))


@dataclass(slots=True, kw_only=True)
class BatchedChecks:
    """`reconcile` as `Reconciler.reconcile`. `apart`: see `ports.Queue`."""

    checks: Checks
    batches: FileBatches
    listings: ArrivalListings
    apart: Callable[[], AbstractContextManager[None]]
    _arrived: dict[str, NewFile] = field(default_factory=dict, init=False)
    _crowds: dict[str, _Crowd] = field(default_factory=dict, init=False)
    """By entry: the folders with files that wait or are sent."""
    _pace: BatchPace = field(default_factory=BatchPace, init=False)
    _running: int = field(default=0, init=False)
    """Batches."""
    _bytes: int = field(default=0, init=False)
    """Of those that run; a batch that has not begun counts as a full one."""

    def arrive(self, folder: FolderSpec, item: Item, revision: Revision, *, just_appeared: bool) -> None:
        """A file of a folder without a record will be checked now; see `has_just_appeared`."""
        self.listings.arrive(item, just_appeared=just_appeared)
        file = revision.file
        if file is not None and is_small(file, folder.options.requires.max_size) and needs_only_a_put(folder):
            self._arrived[item.id] = NewFile(item, revision, file)

    def forget(self, entry: str) -> None:
        """The folder is not in force any more."""
        self._arrived = {item_id: one for item_id, one in self._arrived.items() if one.item.entry != entry}

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        """One check of `item`, after `failures` attempts in a row that failed. Raises JournalError only."""
        new = self._arrived.pop(item.id, None)
        if new is None or new.item is not item or failures or not self._has_room(item) or not await self._is_free(item):
            return await self.checks.reconcile(item, failures)
        result = await self._sent(new)
        if result is None:
            return await self.checks.reconcile(item)
        outcome, recorded = result
        return outcome if recorded else await self.checks.record_failed(item, outcome)

    def _has_room(self, item: Item) -> bool:
        """Whether the file may join a batch: there is room for one, or other files of its folder wait or are sent."""
        return (item.entry in self._crowds or self._has_place) and self.batches.takes(item)

    @property
    def _has_place(self) -> bool:
        return self._running < AT_A_TIME and self._bytes <= (_MOST_FULL - 1) * self.batches.most_bytes

    async def _is_free(self, item: Item) -> bool:
        with suppress(StoreUnavailable):  # its own check meets it
            return (await self.listings.verdict(item, None)).is_free
        return False

    # ── batches ───────────────────────────────────────────────────────────────────────────────────
    async def _sent(self, new: NewFile) -> tuple[Outcome, bool] | None:
        """What the batch of the file made of it. After a cancellation the batch has ended."""
        crowd = self._crowds.setdefault(new.item.entry, _Crowd())
        member = _Member(new)
        crowd.waiting.append(member)
        self._start_batches()
        try:
            if len(crowd.waiting) > MOST_WAITING:
                return await member.outcome
            with self.apart():
                return await member.outcome
        except asyncio.CancelledError:
            if member.batch is not None:
                await drain([member.batch])
            elif member in crowd.waiting:
                crowd.waiting.remove(member)
                self._forget_idle()
            raise

    def _start_batches(self) -> None:
        """Start batches while there is room: one more for each folder whose files wait."""
        for entry, crowd in self._crowds.items():
            if self._has_place and crowd.waiting and self._may_begin(crowd):
                if not self._running:
                    self._pace.begin()
                self._running += 1
                crowd.files += MOST_FILES
                most = self.batches.most_bytes  # read once: it follows the bandwidth
                self._bytes += most
                batch = asyncio.create_task(self._send(crowd, most), name=f"batch of {entry}")
                crowd.batches.add(batch)
                batch.add_done_callback(partial(self._ended, crowd))

    def _may_begin(self, crowd: _Crowd) -> bool:
        """Whether one more batch of the folder may begin beside those that run."""
        if self._pace.one_by_one and crowd.files > self.batches.workers:
            return False
        return len(crowd.batches) < OF_A_FOLDER

    def _ended(self, crowd: _Crowd, batch: asyncio.Task[None]) -> None:
        self._pace.end()
        self._running -= 1
        crowd.batches.remove(batch)
        self._forget_idle()
        self._start_batches()

    def _forget_idle(self) -> None:
        for entry in [entry for entry, crowd in self._crowds.items() if not crowd.batches and not crowd.waiting]:
            del self._crowds[entry]

    async def _send(self, crowd: _Crowd, most: int) -> None:
        """Send one batch of the files that wait now: it is taken here, in the loop's next turn, so that all checks that
        began in one turn are in it."""
        members = crowd.taken(most)
        size = sum(one.new.file.size for one in members)
        self._bytes += size - most
        crowd.files += len(members) - MOST_FILES
        for one in members:
            one.batch = asyncio.current_task()
        try:
            await self._send_new(members)
        except Exception as error:  # noqa: BLE001 - each member's check raises it
            for one in members:
                one.fail(error)
        finally:
            self._bytes -= size
            crowd.files -= len(members)
            for one in members:
                one.end(None)

    async def _send_new(self, members: Sequence[_Member]) -> None:
        """Send those that the journal does not know, neither the item nor the file under another name."""
        if not members:
            return
        files = {one.new.item.id: one.new.file for one in members}
        endpoint = members[0].new.item.destination.endpoint
        new = set(await self.batches.transfers.journal.new_files(files, endpoint))
        for one in members:
            if one.new.item.id not in new:
                one.end(None)
        rest = [one.new for one in members if one.new.item.id in new]
        if rest:
            await self.batches.send(rest, _Members(members))
