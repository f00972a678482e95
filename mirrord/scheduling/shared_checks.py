"""Checks that processes share: which of them run here, and which are tickets for workers.

For the process that has the state. Owns the tickets that it offers, and what follows when a worker ends one, declines
an item, or dies: every check has one outcome, and an item is never checked twice at a time. `ports.tickets` keeps the
tickets, `scheduling.ticket_worker` works on them. Without workers every check runs here, as without tickets.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.aio import drain, finish
from mirrord.errors import JournalError
from mirrord.model import Item, Outcome
from mirrord.planning.items.definition import definition, may_run_elsewhere
from mirrord.ports import Clock
from mirrord.ports.tickets import MOST_WORKS, SharedTickets, Ticket, TicketReport, Work
from mirrord.scheduling.scheduler import Reconcile
from mirrord.status import WorkerStatus

_log = getLogger(__name__)

MOST_SHARED = 2_000
"""Checks that wait here for a slot, or for a worker."""
SWEEP_EVERY = 1.0
"""Seconds. With the lease of 8 s, the tickets of a dead worker are offered again after at most 10 s."""
PAUSE, IDLE = 0.02, 0.5
"""Seconds between two turns: at least, so that the checks of a moment share tickets; and at most without tickets."""
READ_EVERY = 0.05
"""Seconds between two questions for reports."""
EARLY = 60.0
"""Seconds from the start for which outcomes of a former owner's checks are taken."""
AHEAD = 2
"""Items that a worker has at most, as a multiple of its slots."""


@dataclass(slots=True, eq=False)
class _Check:
    """One check that waits for a slot, here or of a worker. `answer`: None: it is to run here."""

    item: Item
    failures: int
    here: bool
    answer: asyncio.Future[Outcome | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ticket: int | None = None
    cancelled: bool = False

    def end(self, outcome: Outcome | None) -> None:
        if not self.answer.done():
            self.answer.set_result(outcome)


@dataclass(slots=True)
class _Offered:
    """The checks of a ticket that have no outcome yet, by item id. None: of a ticket from before this process."""

    checks: dict[str, _Check | None]
    definitions: Mapping[str, str] = field(default_factory=dict)
    stops: set[str] = field(default_factory=set)
    """All that were to end: its worker may not have read the former ones when others follow."""


@dataclass(slots=True, kw_only=True)
class SharedChecks:
    """`begin`, then `reconcile` in place of `checks`, while `run` runs.

    `slots`: checks here at a time. `apart`: how many of them wait for work with a bound of its own, see `ports.Queue`.
    `only_here`: whether an item must be checked here now.
    """

    checks: Reconcile
    tickets: SharedTickets
    clock: Clock
    slots: int
    apart: Callable[[], int] = lambda: 0
    only_here: Callable[[Item], bool] = lambda _: False
    ended: Callable[[Item, Outcome], object] = lambda _, __: None
    """Called with each check that a worker made."""
    workers: Sequence[WorkerStatus] = ()
    """Those that live."""
    _waiting: deque[_Check] = field(default_factory=deque, init=False)
    """For a slot here, or a worker."""
    _waiting_here: deque[_Check] = field(default_factory=deque, init=False)
    """For a slot here."""
    _offered: dict[int, _Offered] = field(default_factory=dict, init=False)
    _tickets_of: dict[str, int] = field(default_factory=dict, init=False)
    """The ticket of an item that a worker may be checking."""
    _stops: dict[int, set[str]] = field(default_factory=dict, init=False)
    _here: int = field(default=0, init=False)
    _its_turn: bool = field(default=True, init=False)
    """Of `_waiting_here`: it takes turns with `_waiting`."""
    _number: int = field(default=0, init=False)
    _unsure: list[Ticket] = field(default_factory=list, init=False)
    """Tickets that are to be offered, or were offered without an answer."""
    _next_sweep: float = field(default=0.0, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _closing: bool = field(default=False, init=False)
    _early: dict[str, tuple[str, Outcome]] = field(default_factory=dict, init=False)
    """Outcomes of a former owner's checks for which no check waits yet, with the definitions that were meant."""
    _early_until: float = field(default=0.0, init=False)

    # ── checks ───────────────────────────────────────────────────────────────────────────────────
    async def begin(self) -> None:
        """Learn what workers still do for a former owner of the state. Raises JournalError."""
        self._early_until = self.clock.monotonic() + EARLY
        self.workers = await self.tickets.sweep()  # first: no worker takes a ticket of the former owner after it
        for ticket in await self.tickets.taken():
            self._offered[ticket.number] = _Offered(
                {work.item_id: None for work in ticket.works}, {work.item_id: work.definition for work in ticket.works}
            )
            self._tickets_of |= {work.item_id: ticket.number for work in ticket.works}

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        """Check the item, here or elsewhere. Raises JournalError only. When it is cancelled, it waits until no worker
        checks the item."""
        check = _Check(item, failures, not may_run_elsewhere(item) or self.only_here(item))
        try:
            outcome = await self._assigned(check)
        except asyncio.CancelledError:
            await self._cancelled(check)
            raise
        return outcome if outcome is not None else await self._checked(check)

    async def _checked(self, check: _Check) -> Outcome:
        """Check the item here, in the slot that was given."""
        try:
            return await self.checks(check.item, check.failures)
        finally:
            self._here -= 1
            self._assign()

    def close(self) -> None:
        """The process ends: tickets stay with their workers, for the next owner of the state."""
        self._closing = True

    async def _assigned(self, check: _Check) -> Outcome | None:
        number = self._tickets_of.get(check.item.id)
        if number is not None:
            self._join(check, number)
        elif (outcome := self._early_outcome(check)) is not None:
            return outcome
        else:
            self._wait(check)
        return await check.answer

    def _early_outcome(self, check: _Check) -> Outcome | None:
        """What a worker reported of a check that a former owner began, if it is fresh and means the same."""
        meant, outcome = self._early.pop(check.item.id, ("", None))
        if self.clock.monotonic() > self._early_until:
            self._early.clear()
            return None
        if outcome is None or check.here or meant != definition(check.item):
            return None
        self.ended(check.item, outcome)
        return outcome

    def _join(self, check: _Check, number: int) -> None:
        """A worker checks the item for a former owner of the state: take its outcome, if it means the same."""
        offered = self._offered[number]
        offered.checks[check.item.id], check.ticket = check, number
        if check.here or offered.definitions.get(check.item.id) != definition(check.item):
            self._stop(check)

    def _wait(self, check: _Check, *, first: bool = False) -> None:
        check.ticket = None
        waiting = self._waiting_here if check.here else self._waiting
        (waiting.appendleft if first else waiting.append)(check)
        self._assign()
        if not check.answer.done():
            self._news.set()

    async def _cancelled(self, check: _Check) -> None:
        waiting = self._waiting_here if check.here else self._waiting
        if check in waiting:
            waiting.remove(check)
        elif check.ticket is not None and self._is_offered(check):
            check.cancelled, check.answer = True, asyncio.get_running_loop().create_future()
            if not self._closing:
                self._stop(check)
                await finish(asyncio.wait([check.answer]))
        elif check.answer.done() and not check.answer.cancelled() and check.answer.result() is None:
            self._here -= 1  # it got its slot in the same moment
            self._assign()

    def _is_offered(self, check: _Check) -> bool:
        offered = self._offered.get(check.ticket or 0)
        return offered is not None and offered.checks.get(check.item.id) is check

    def _stop(self, check: _Check) -> None:
        if check.ticket is not None and (offered := self._offered.get(check.ticket)) is not None:
            offered.stops.add(check.item.id)
            self._stops[check.ticket] = offered.stops
            self._news.set()

    def _assign(self) -> None:
        """Give free slots here to waiting checks. Between this process and its workers the less busy one is first."""
        while self._here - self.apart() < self.slots:
            others = bool(self._waiting) and self._is_less_busy()
            if self._waiting_here and (self._its_turn or not others):
                check, self._its_turn = self._waiting_here.popleft(), False
            elif others:
                check, self._its_turn = self._waiting.popleft(), True
            else:
                return
            if not check.answer.done():  # else it was cancelled in this moment
                self._here += 1
                check.end(None)

    def _is_less_busy(self) -> bool:
        theirs = sum(one.slots for one in self.workers)
        return not theirs or self._here * theirs <= len(self._tickets_of) * self.slots

    # ── tickets ──────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Offer tickets and read reports, until cancelled."""
        failed = False
        while True:
            try:
                await self._turn()
                failed = False
            except JournalError as error:
                if not failed:
                    _log.warning("no checks are shared with workers meanwhile: %s", error)
                failed = True
            await self._pause()

    async def _pause(self) -> None:
        await self.clock.sleep(PAUSE)
        waits = READ_EVERY if self._offered else IDLE
        timer = asyncio.create_task(self.clock.sleep(waits))
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait([timer, news], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await drain([timer, news])
        self._news.clear()

    async def _turn(self) -> None:
        if self._stops:
            stops, self._stops = self._stops, {}
            await self._stopped(stops)
        if self.clock.monotonic() >= self._next_sweep:
            self.workers = await self.tickets.sweep()
            self._next_sweep = self.clock.monotonic() + SWEEP_EVERY
            await self._find_lost()
        elif self._offered:
            await self._read()
        await self._offer()
        self._assign()

    async def _stopped(self, stops: dict[int, set[str]]) -> None:
        try:
            await self.tickets.stop(stops)
        except JournalError:
            for number, ids in stops.items():
                self._stops.setdefault(number, set()).update(ids)
            raise
        self._next_sweep = 0.0  # a ticket that no worker took is gone now

    async def _find_lost(self) -> None:
        """Checks of tickets that ended without an outcome of theirs wait again. Reports come before the end."""
        unfinished = await self.tickets.unfinished()
        await self._read()
        unsure = {one.number for one in self._unsure}
        for number in self._offered.keys() - set(unfinished) - unsure:
            self._end(number)

    async def _read(self) -> None:
        while reports := await self.tickets.reports():
            for report in reports:
                self._use(report)

    def _use(self, report: TicketReport) -> None:
        offered = self._offered.get(report.ticket)
        if offered is None:
            return
        for item_id, outcome in report.outcomes.items():
            if item_id in offered.checks:
                self._settle(offered, item_id, outcome)
        if report.last:
            self._end(report.ticket)

    def _end(self, number: int) -> None:
        offered = self._offered.pop(number)
        self._unsure = [one for one in self._unsure if one.number != number]  # it was offered
        for item_id in list(offered.checks):
            self._settle(offered, item_id, None, lost=True)

    def _settle(self, offered: _Offered, item_id: str, outcome: Outcome | None, *, lost: bool = False) -> None:
        """No worker checks the item any more. Without an outcome its check waits again; one that a worker declined,
        because it has other manifests, runs here."""
        check = offered.checks.pop(item_id)
        self._tickets_of.pop(item_id, None)
        meant = offered.definitions.get(item_id)
        if check is None:
            if outcome is not None and meant is not None:
                self._early[item_id] = meant, outcome
        elif check.cancelled:
            check.end(None)
        elif outcome is not None and not check.here and (meant is None or meant == definition(check.item)):
            self.ended(check.item, outcome)
            check.end(outcome)
        elif not check.answer.done():
            check.here = check.here or not lost
            self._wait(check, first=True)

    # ── offers ───────────────────────────────────────────────────────────────────────────────────
    async def _offer(self) -> None:
        room = AHEAD * sum(one.slots for one in self.workers) - len(self._tickets_of)
        size = max(1, min([MOST_WORKS, *(one.slots for one in self.workers)]))
        if room < min(size // 2, len(self._waiting)):
            room = 0  # else each item that ends would make a ticket of one
        chosen = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        for checks in _grouped(chosen, size):
            self._number += 1
            number = self.tickets.first + self._number
            self._offered[number] = _Offered({one.item.id: one for one in checks})
            for one in checks:
                one.ticket = self._tickets_of[one.item.id] = number
            self._unsure.append(Ticket(number, tuple(map(_work, checks))))
        if self._unsure:
            await self.tickets.offer(self._unsure)
            self._unsure = []


def _work(check: _Check) -> Work:
    return Work(check.item.id, definition(check.item), check.failures)


def _grouped(checks: Iterable[_Check], size: int) -> Iterator[list[_Check]]:
    """Checks of one entry, so that listings serve them, at most `size` at a time."""
    by_entry: dict[str, list[_Check]] = {}
    for check in checks:
        by_entry.setdefault(check.item.entry, []).append(check)
    for found in by_entry.values():
        for start in range(0, len(found), size):
            yield found[start : start + size]
