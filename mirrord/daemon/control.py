"""The running daemon as its page, API and signals see it: `ports.Control` over journal, scheduler, folders and board.

Owns how what is recorded, what runs and what waits in folders become one picture. Changes nothing but by asking the
scheduler or the reload.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from heapq import nsmallest

from mirrord._version import __version__
from mirrord.aio import in_turns
from mirrord.daemon.health import Health
from mirrord.daemon.live import Live
from mirrord.daemon.offline import not_enforced
from mirrord.events import Event
from mirrord.model import Record, State
from mirrord.ports import Clock, Journal
from mirrord.reconcile.held import Held
from mirrord.status import FileStatus, ItemPage, ItemStatus, Status
from mirrord.telemetry.board import Board

TOTALS_FRESH = 1.0
"""Seconds for which counted totals are shown again."""


@dataclass(slots=True)
class Totals:
    """How many items are in each state, counted at most once a second: what is recorded, but what `held` says of files
    that wait in folders or are in conflict.
    """

    journal: Journal
    clock: Clock
    held: Callable[[], Iterable[Held]]
    last: Mapping[State, int] = field(default_factory=dict)
    _counted: float = float("-inf")

    async def now(self) -> Mapping[State, int]:
        if self.clock.monotonic() - self._counted >= TOTALS_FRESH:
            self.last = await self._count()
            self._counted = self.clock.monotonic()
        return self.last

    async def _count(self) -> Mapping[State, int]:
        totals, blocked = Counter(await self.journal.totals()), dict[str, Held]()
        async for one in in_turns(self.held()):
            if one.state is State.BLOCKED:  # its object may be another file's that waits, which then is what is shown
                blocked[one.item_id] = one
            else:
                blocked.pop(one.item_id, None)
                _move(totals, one)
        for one in blocked.values():
            _move(totals, one)
        return +totals


def _move(totals: Counter[State], one: Held) -> None:
    totals[one.state] += 1
    if one.recorded is not None:
        totals[one.recorded] -= 1


async def _unwired() -> None:
    """Until the daemon stands there is nothing to read again."""


@dataclass(slots=True, kw_only=True)
class Controller:
    """Implements `ports.Control`. `reloads` reads the manifests again; `stopping` makes it not ready for good."""

    live: Live
    journal: Journal
    board: Board
    health: Health
    totals: Totals
    started: float
    reloads: Callable[[], Awaitable[None]] = _unwired
    stopping: bool = False

    def not_ready(self) -> str:
        if self.stopping:
            return "stopping"
        if problem := self.live.scheduler.journal_problem:
            return f"the journal cannot be written: {problem}"
        files = self.live.manifests.statuses()
        if files and not any(file.in_force for file in files):
            return "no valid manifest is in force"
        return self.live.unhealthy()

    async def status(self) -> Status:
        return Status(
            version=__version__,
            pid=os.getpid(),
            started=self.started,
            not_ready=self.not_ready(),
            totals=await self.counts(),
            running=self.board.running(),
            files=self.live.manifests.statuses(),
            folders=self.live.folder_statuses(),
            stores=self.health.stores(),
            not_enforced=not_enforced(),
        )

    async def items(
        self, *, state: State | None = None, entry: str = "", text: str = "", cursor: str = "", limit: int = 100
    ) -> ItemPage:
        if state is State.TRANSFERRING:
            return ItemPage(items=await self._running(entry, text))
        records = await self.journal.page(state=state, entry=entry, text=text, after=cursor, limit=limit + 1)
        found = {one.id: one for one in map(self._shown, records)}
        last = records[-1].item_id if len(records) > limit else ""
        held = [
            one
            async for one in in_turns(self.live.held(entry))
            if state in (None, one.state) and one.item_id > cursor and (not last or one.item_id <= last)
        ]
        if not text:
            held = await asyncio.to_thread(nsmallest, limit + 1, held, key=lambda one: one.item_id)
        async for one in in_turns(held):
            if _matches(status := one.status(), state, entry, text):
                found[status.id] = status
        page = [found[item_id] for item_id in sorted(found)]
        return ItemPage(items=tuple(page[:limit]), cursor=page[limit - 1].id if len(page) > limit else None)

    async def item(self, item_id: str) -> ItemStatus | None:
        async for held in in_turns(self.live.held()):
            if held.item_id == item_id:
                return held.status()
        record = await self.journal.record(item_id)
        return self._shown(record) if record is not None and record.removed is None else None

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self.board.subscribe()

    async def trigger(self, item_id: str) -> bool:
        return await self.live.trigger(item_id)

    async def reload(self) -> Sequence[FileStatus]:
        await self.reloads()
        return self.live.manifests.statuses()

    # ── the picture ───────────────────────────────────────────────────────────────────────────────
    async def counts(self) -> Mapping[State, int]:
        """The totals; a running item counts as Transferring only."""
        totals = dict(await self.totals.now())
        for run in self.board.running():
            record = await self.journal.record(run.item_id)
            if record is not None and totals.get(record.state):
                totals[record.state] -= 1
            totals[State.TRANSFERRING] = totals.get(State.TRANSFERRING, 0) + 1
        return {state: count for state, count in totals.items() if count}

    async def _running(self, entry: str, text: str) -> tuple[ItemStatus, ...]:
        records = [await self.journal.record(run.item_id) for run in self.board.running()]
        shown = [self._shown(record) for record in records if record is not None]
        return tuple(one for one in sorted(shown, key=lambda one: one.id) if _matches(one, None, entry, text))

    def _shown(self, record: Record) -> ItemStatus:
        progress = self.board.progress(record.item_id)
        due = self.live.scheduler.next_check(record.item_id)
        status = ItemStatus.of(record if due is None else replace(record, next_check=due))
        return replace(status, state=State.TRANSFERRING, progress=progress) if progress else status


def _matches(one: ItemStatus, state: State | None, entry: str, text: str) -> bool:
    if (state is not None and one.state is not state) or (entry and one.entry != entry):
        return False
    return not text or any(text.lower() in field.lower() for field in (one.destination, one.source, one.entry))
