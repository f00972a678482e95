"""Tickets in memory, for tests: the calls of the process that has the state, and those of its workers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mirrord.errors import JournalTakenOver
from mirrord.ports.tickets import Ticket, TicketReport
from mirrord.status import WorkerStatus


@dataclass(slots=True)
class MemoryTickets:
    """`ports.SharedTickets`; `worker` makes the `ports.WorkerTickets` of one worker."""

    first: int = 0
    _free: dict[int, Ticket] = field(default_factory=dict, init=False)
    _reports: list[TicketReport] = field(default_factory=list, init=False)
    _workers: "dict[str, MemoryWorker]" = field(default_factory=dict, init=False)
    _ended: set[int] = field(default_factory=set, init=False)

    def worker(self, owner: str, slots: int = 4) -> "MemoryWorker":
        """A worker that lives until `ended`."""
        made = self._workers[owner] = MemoryWorker(self, WorkerStatus(owner=owner, host="host", pid=1, slots=slots))
        return made

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        known = {*await self.unfinished(), *self._ended}
        self._free |= {one.number: one for one in tickets if one.number not in known}

    async def reports(self) -> Sequence[TicketReport]:
        found, self._reports = self._reports, []
        return found

    async def stop(self, tickets: Mapping[int, Collection[str]]) -> None:
        for number, ids in tickets.items():
            self._free.pop(number, None)
            for worker in self._workers.values():
                if number in worker.taken:
                    worker.stops[number] = frozenset(ids)

    async def unfinished(self) -> Collection[int]:
        return {*self._free, *(number for worker in self._workers.values() for number in worker.taken)}

    async def taken(self) -> Sequence[Ticket]:
        return [one for worker in self._workers.values() for one in worker.taken.values()]

    async def sweep(self) -> Sequence[WorkerStatus]:
        self._free = {number: one for number, one in self._free.items() if number >= self.first}
        self._workers = {owner: one for owner, one in self._workers.items() if not one.ended}
        return [one.status for one in self._workers.values()]

    def take(self, most: int) -> dict[int, Ticket]:
        """Remove the first tickets that are free."""
        return {number: self._free.pop(number) for number in sorted(self._free)[:most]}

    def add(self, report: TicketReport) -> None:
        self._reports.append(report)
        if report.last:
            self._ended.add(report.ticket)


@dataclass(slots=True)
class MemoryWorker:
    """One worker of `MemoryTickets`. `ended`: it is dead, or was paused for longer than its lease."""

    tickets: MemoryTickets
    status: WorkerStatus
    taken: dict[int, Ticket] = field(default_factory=dict, init=False)
    stops: dict[int, Collection[str]] = field(default_factory=dict, init=False)
    ended: bool = field(default=False, init=False)

    async def take(self, most: int, running: Collection[int]) -> Sequence[Ticket]:
        self._check()
        self.taken |= self.tickets.take(most)
        return [one for number, one in self.taken.items() if number not in running]

    async def stopped(self) -> Mapping[int, Collection[str]]:
        self._check()
        return {number: ids for number, ids in self.stops.items() if number in self.taken}

    async def report(self, reports: Sequence[TicketReport]) -> None:
        self._check()
        for one in reports:
            if one.ticket in self.taken:
                self.tickets.add(one)
            if one.ticket in self.taken:
                works = tuple(work for work in self.taken[one.ticket].works if work.item_id not in one.outcomes)
                self.taken[one.ticket] = Ticket(one.ticket, works)
            if one.last:
                self.taken.pop(one.ticket, None)

    def _check(self) -> None:
        if self.ended:
            raise JournalTakenOver("another mirrord took over the state")
