"""Works on the tickets of the process that has the state: checks their items, and reports what became of each.

Owns how many tickets are taken, and the end of a check that the other process stops. `ports.tickets` keeps the tickets,
`reconcile` makes the checks.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from logging import getLogger

from mirrord.aio import drain
from mirrord.errors import JournalError, JournalTakenOver
from mirrord.model import Item, Outcome
from mirrord.planning.items.definition import definition
from mirrord.ports import Clock
from mirrord.ports.tickets import Ticket, TicketReport, Work, WorkerTickets
from mirrord.scheduling.scheduler import Reconcile

_log = getLogger(__name__)

BUSY, IDLE = 0.05, 0.25
"""Seconds between two turns: with tickets, and without."""
AGAIN = 1.0
"""The same after a turn that failed."""


@dataclass(slots=True)
class _Running:
    """A ticket of this worker: its checks that run, and the outcomes that are to be reported."""

    checks: dict[str, asyncio.Task[Outcome | None]]
    news: dict[str, Outcome | None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class TicketWorker:
    """`run` until cancelled. `slots`: checks at a time. `apart`: see `SharedChecks`. `item`: what the manifests say."""

    tickets: WorkerTickets
    reconcile: Reconcile
    item: Callable[[str], Item | None]
    clock: Clock
    slots: int
    apart: Callable[[], int] = lambda: 0
    _running: dict[int, _Running] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Take tickets and work on them. Raises JournalTakenOver."""
        failed = False
        try:
            while True:
                try:
                    await self._turn()
                    failed = False
                except JournalTakenOver:
                    raise
                except JournalError as error:
                    if not failed:
                        _log.warning("no tickets are taken meanwhile: %s", error)
                    failed = True
                await self.clock.sleep(AGAIN if failed else BUSY if self._running else IDLE)
        finally:
            await drain(task for one in self._running.values() for task in one.checks.values())

    @property
    def checks(self) -> int:
        """How many items of tickets have no outcome yet."""
        return sum(len(one.checks) for one in self._running.values())

    async def _turn(self) -> None:
        if self._running:
            for number, ids in (await self.tickets.stopped()).items():
                self._stop(number, ids)
            await self._report()
        most = 1 if self.checks - self.apart() < self.slots else 0
        if most or self._running:
            for ticket in await self.tickets.take(most, list(self._running)):
                self._begin(ticket)

    def _begin(self, ticket: Ticket) -> None:
        self._running[ticket.number] = running = _Running({})
        for work in ticket.works:
            running.checks[work.item_id] = asyncio.create_task(self._checked(work))

    async def _checked(self, work: Work) -> Outcome | None:
        """None: not checked, because the manifests here say something else, or the journal failed."""
        item = self.item(work.item_id)
        if item is None or definition(item) != work.definition:
            return None
        with suppress(JournalError):
            outcome = await self.reconcile(item, work.failures)
            return replace(outcome, copied=None)
        return None

    def _stop(self, number: int, item_ids: Collection[str]) -> None:
        checks = self._running[number].checks if number in self._running else {}
        for item_id in checks.keys() & set(item_ids):
            checks[item_id].cancel()

    async def _report(self) -> None:
        """Report what has ended since the last time."""
        for one in self._running.values():
            _collect(one)
        reports = [
            TicketReport(number, one.news, last=not one.checks)
            for number, one in self._running.items()
            if one.news or not one.checks
        ]
        if not reports:
            return
        await self.tickets.report(reports)
        for report in reports:
            self._running[report.ticket].news = {}
            if report.last:
                del self._running[report.ticket]


def _collect(running: _Running) -> None:
    ended: Mapping[str, asyncio.Task[Outcome | None]] = {
        item_id: task for item_id, task in running.checks.items() if task.done()
    }
    for item_id, task in ended.items():
        del running.checks[item_id]
        running.news[item_id] = None if task.cancelled() else _outcome(task)


def _outcome(task: asyncio.Task[Outcome | None]) -> Outcome | None:
    if (error := task.exception()) is not None:
        _log.error("the check of an item raised", exc_info=error)
        return None
    return task.result()
