"""`ports.Control` over journal, scheduler, folders and board: the running daemon for its page, API and signals.

Owns the merge of records, running transfers and waiting files into pages of items. Changes nothing, except by `trigger`
and `reload`.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from logging import getLogger

from mirrord._version import __version__
from mirrord.aio import cooperatively
from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.board import Board
from mirrord.daemon.entries import entries_after, entry_status, last_passes
from mirrord.daemon.health import Health
from mirrord.daemon.notifications import Notifications
from mirrord.daemon.picture import Overlay, Totals, recorded_status, with_gone_files
from mirrord.daemon.slow_answers import SlowAnswers
from mirrord.daemon.sorted_items import matches, sorted_items
from mirrord.daemon.stale_items import StaleItems
from mirrord.errors import JournalError, StoreError
from mirrord.events import Event
from mirrord.folders.waiting import WaitingFile
from mirrord.manifest.schema.not_yet import not_enforced
from mirrord.model import EVERY, ItemFilter, ItemOrder, ItemPlace, Record, State
from mirrord.ports import JournalQueries
from mirrord.ports.learned import learned_texts
from mirrord.reconcile.history import history_of, history_with_versions
from mirrord.status import (
    MOST_STALE,
    EntryPage,
    FileStatus,
    ItemHistory,
    ItemPage,
    ItemStatus,
    Restored,
    SortedPage,
    Status,
)

_log = getLogger(__name__)

_MOST_EMPTY = 20
"""Most empty pages in a row that are skipped in one call; after that an empty page with a cursor is returned."""


@dataclass(slots=True, kw_only=True)
class Controller:
    """Implements `ports.Control`. With `stopping` it is not ready."""

    applied: AppliedState
    journal: JournalQueries
    board: Board
    health: Health
    totals: Totals
    notifications: Notifications
    stale: StaleItems
    started: float
    """Seconds since the epoch."""
    read_again: Callable[[], Awaitable[None]]
    """Reads the manifests and the files that they refer to again."""
    stopping: bool = False
    _journal_problem: str | None = field(default=None, init=False)
    _slow: SlowAnswers[SortedPage] = field(init=False)

    def __post_init__(self) -> None:
        self._slow = SlowAnswers(self.totals.clock)

    def not_ready(self) -> str | None:
        if self.stopping:
            return "stopping"
        if problem := self.journal_problem:
            return f"the journal cannot be written: {problem}"
        files = self.applied.manifests.statuses()
        if files and not any(file.in_force for file in files):
            return "no valid manifest is in force"
        return self.notifications.supervisor.problem()

    @property
    def journal_problem(self) -> str | None:
        """Why the journal cannot be used; None while it works."""
        return self.applied.scheduler.journal_problem or self._journal_problem

    def works(self) -> bool:
        """Whether mirrord is ready, and the last call to each store in force was answered."""
        answers = self.health.stores()
        in_force = self.applied.manifests.current.loaded.stores
        return self.not_ready() is None and all(answers.get(name, True) for name in in_force)

    async def check_journal(self) -> None:
        """Raises JournalError, logged once, if the file of the journal was replaced or cannot be read."""
        try:
            await self.journal.last_written()
        except JournalError as error:
            if self._journal_problem != str(error):
                _log.error("%s", error)
            self._journal_problem = str(error)
            raise
        self._journal_problem = None

    async def status(self) -> Status:
        return Status(
            version=__version__,
            pid=os.getpid(),
            started=self.started,
            not_ready=self.not_ready() or "",
            totals=await self.counts(),
            running=self.board.running(),
            sent_by_minute=self.board.sent_by_minute(),
            files=self.applied.manifests.statuses(),
            folders=self.applied.folders.statuses(),
            lists=self.applied.lists.statuses(),
            receivers=await self.notifications.statuses(),
            stale=self.stale.objects(MOST_STALE),
            stale_items=self.stale.count,
            stores=self.health.stores(),
            calls_at_once=self.health.calls_at_once(),
            breakers=self.health.breakers(),
            proxies=self.health.proxies(),
            workers=tuple(self.applied.shared.workers) if self.applied.shared is not None else (),
            differences=self.applied.stores.differences,
            learned=await learned_texts(self.journal, time.time()),
            not_enforced=not_enforced(),
        )

    async def items(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ItemPage:
        for _ in range(_MOST_EMPTY):
            page = await self._page(state, entry, text, cursor, limit)
            if page.items or page.cursor is None:
                break
            cursor = page.cursor
        return replace(page, items=tuple(await self._with_gone_files(page.items)))

    async def sorted_items(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> SortedPage:
        async def page() -> SortedPage:
            overlay = await self._overlay(wanted.entry, lambda _: True)
            return await sorted_items(self.journal, overlay, self._recorded, order, wanted, after, limit)

        found = await self._slow.get((order, wanted, after, limit), page)
        return found._replace(items=tuple(await self._with_gone_files(found.items)))

    async def entries(self, *, cursor: str | None = None, limit: int = 100) -> EntryPage:
        names = await asyncio.to_thread(entries_after, self.applied.manifests.current.expansion, cursor, limit + 1)
        passes = last_passes(self.applied.lists.statuses(), self.applied.folders.statuses())
        staleness, running = self.health.staleness(), defaultdict[str, list[str]](list)
        for one in self.board.unfinished():
            running[one.item.entry].append(one.item.id)
        page = names[:limit]
        counts = await asyncio.gather(*(self.totals.of_entry(name, running[name]) for name, _ in page))
        shown = [
            entry_status(name, kind, counted, passes.get(name), staleness.get(name))
            for (name, kind), counted in zip(page, counts, strict=True)
        ]
        return EntryPage(entries=tuple(shown), cursor=shown[-1].name if len(names) > limit else None)

    async def item(self, item_id: str) -> ItemStatus | None:
        overlay = await self._overlay(None, lambda one: one.item_id == item_id)
        record = await self.journal.record(item_id)
        shown = overlay.status(item_id, self._recorded(record) if record is not None else None)
        if shown is None:
            return None
        return (await self._with_gone_files([shown]))[0]

    async def _with_gone_files(self, shown: Sequence[ItemStatus]) -> Sequence[ItemStatus]:
        return await with_gone_files(shown, self.applied.folders.specs(), self.applied.files.run_in_pool)

    async def history(self, item_id: str) -> ItemHistory | None:
        record = await self.journal.record(item_id)
        if record is None:
            shown = await self.item(item_id)
            return ItemHistory(id=item_id, destination=shown.destination, entries=()) if shown is not None else None
        known = await self.journal.history(item_id)
        try:
            store = await self.applied.stores.at(record.destination)
        except StoreError as error:
            return history_of(record, known, problem=str(error))
        return await history_with_versions(record, known, store)

    async def restore(self, item_id: str, version_id: str) -> Restored | None:
        record = await self.applied.restores.request(item_id, version_id, self.applied.trigger_scheduled)
        if record is None:
            return None
        return Restored(id=item_id, destination=str(record.destination), version=version_id, size=record.object.size)

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self.board.subscribe()

    async def trigger(self, item_id: str) -> bool:
        return await self.applied.trigger(item_id)

    def trigger_entry(self, entry: str) -> bool:
        return self.applied.trigger_entry(entry)

    async def reload(self) -> Sequence[FileStatus]:
        await self.read_again()
        return self.applied.manifests.statuses()

    # ── pages and totals ───────────────────────────────────────────────────────────────────────────────
    async def counts(self) -> Mapping[State, int]:
        """The totals; a running item counts as Transferring only."""
        return await self.totals.now()

    async def _page(
        self, state: State | None, entry: str | None, text: str | None, cursor: str | None, limit: int
    ) -> ItemPage:
        """Items from the next `limit` records, and the unrecorded ones between them. The filter applies to the state
        that the overlay gives, so that a page may have fewer items than `limit` before the end."""
        unrecorded = state is State.TRANSFERRING
        records = (
            []
            if unrecorded
            else await self.journal.page(state=state, entry=entry, text=text, after=cursor, limit=limit + 1)
        )
        last = records[limit - 1].item_id if len(records) > limit else None
        asked = {one.item_id: self._recorded(one) for one in records[:limit]}

        def is_meant(item_id: str) -> bool:
            return (cursor is None or item_id > cursor) and (last is None or item_id <= last)

        overlay = await self._overlay(entry, lambda one: is_meant(one.item_id))
        if text is None:
            await asyncio.to_thread(overlay.keep_first, limit + 1, state, asked.keys())
        more = set(filter(is_meant, overlay.ids()))
        known = await self.journal.recorded([item_id for item_id in more if item_id not in asked])
        asked |= {
            item_id: self._recorded(known[item_id]) if item_id in known else None for item_id in more - asked.keys()
        }
        shown = (overlay.status(item_id, asked[item_id]) for item_id in sorted(asked))
        wanted = ItemFilter(state, entry, text)
        page = [one for one in shown if one is not None and matches(one, wanted)]
        if len(page) > limit:
            return ItemPage(items=tuple(page[:limit]), cursor=page[limit - 1].id)
        return ItemPage(items=tuple(page), cursor=last)

    async def _overlay(self, entry: str | None, is_meant: Callable[[WaitingFile], bool]) -> Overlay:
        """The overlay of the records: all running items, and the waiting files for which `is_meant` is true."""
        overlay = Overlay({one.item.id: one.item for one in self.board.unfinished()}, self.board.progress)
        async for one in cooperatively(self.applied.folders.waiting(entry)):
            if is_meant(one):
                overlay.add(one)
        return overlay

    def _recorded(self, record: Record) -> ItemStatus | None:
        return recorded_status(record, self.applied.scheduler.next_check(record.item_id))
