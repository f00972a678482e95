"""What every implementation of `ports.tickets` promises: in memory and in PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psycopg
import pytest

from mirrord.errors import JournalTakenOver, Reason
from mirrord.journal.postgres import Lease
from mirrord.journal.postgres.address import address_of
from mirrord.journal.postgres.tickets import PostgresTickets
from mirrord.journal.postgres.worker_lease import WorkerLease
from mirrord.model import Outcome, Secret, State
from mirrord.ports.tickets import SharedTickets, Ticket, TicketReport, Work, WorkerTickets
from mirrord.testing.tickets import MemoryTickets

SYNCED = Outcome(state=State.SYNCED)
RETRYING = Outcome(state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, message="caf\udce9", retry_in=2.5)


@dataclass
class Fleet:
    """The tickets of the process that has the state, and what makes workers, and ends the lease of one."""

    shared: SharedTickets
    worker: Callable[[], Awaitable[WorkerTickets]]
    end: Callable[[WorkerTickets], Awaitable[None]]

    def ticket(self, number: int, *ids: str) -> Ticket:
        return Ticket(self.shared.first + number, tuple(Work(item_id, f"d{item_id}", 3) for item_id in ids))


def in_memory() -> Fleet:
    shared = MemoryTickets()
    made: list[str] = []

    async def worker() -> WorkerTickets:
        made.append(f"w{len(made)}")
        return shared.worker(made[-1])

    async def end(one: WorkerTickets) -> None:
        one.ended = True  # type: ignore[attr-defined]

    return Fleet(shared, worker, end)


async def in_postgres(uri: str, life: AsyncExitStack) -> Fleet:
    address = address_of(Secret(uri))
    lease = await life.enter_async_context(Lease(address))
    shared = await life.enter_async_context(PostgresTickets(address, lease))
    owners: dict[int, str] = {}

    async def worker() -> WorkerTickets:
        own = await life.enter_async_context(WorkerLease(address, slots=4))
        made = await life.enter_async_context(PostgresTickets(address, own))
        owners[id(made)] = own.owner
        return made

    async def end(one: WorkerTickets) -> None:
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
            await connection.execute("UPDATE lease SET until = '-infinity' WHERE owner = %s", (owners[id(one)],))

    return Fleet(shared, worker, end)


@pytest.fixture(params=["memory", "postgres"])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as life:
        if request.param == "memory":
            yield in_memory()
        else:
            yield await in_postgres(request.getfixturevalue("postgres_uri"), life)


async def test_a_ticket_is_taken_once_and_its_report_arrives_once(fleet: Fleet) -> None:
    one, two = fleet.ticket(1, "a", "b"), fleet.ticket(2, "c")
    await fleet.shared.offer([one, two])
    await fleet.shared.offer([one])
    first, second = await fleet.worker(), await fleet.worker()
    assert await first.take(1, []) == [one]
    assert await second.take(5, []) == [two]
    assert await second.take(5, [two.number]) == []
    assert await fleet.shared.taken() == [one, two]
    await first.report([TicketReport(one.number, {"a": SYNCED}, last=False)])
    assert await fleet.shared.taken() == [fleet.ticket(1, "b"), two], "what was reported is not waited for"
    await first.report([TicketReport(one.number, {"b": RETRYING, "x": None}, last=True)])
    assert await fleet.shared.reports() == [
        TicketReport(one.number, {"a": SYNCED}, last=False),
        TicketReport(one.number, {"b": RETRYING, "x": None}, last=True),
    ]
    assert await fleet.shared.reports() == []
    assert set(await fleet.shared.unfinished()) == {two.number}


async def test_a_worker_finds_the_tickets_of_which_it_had_no_answer(fleet: Fleet) -> None:
    one = fleet.ticket(1, "a")
    await fleet.shared.offer([one])
    worker = await fleet.worker()
    await worker.take(1, [])
    assert await worker.take(0, []) == [one]


async def test_a_report_of_a_ticket_that_ended_is_dropped(fleet: Fleet) -> None:
    one = fleet.ticket(1, "a")
    await fleet.shared.offer([one])
    worker = await fleet.worker()
    await worker.take(1, [])
    ended = TicketReport(one.number, {"a": SYNCED}, last=True)
    await worker.report([ended])
    await worker.report([ended])
    assert await fleet.shared.reports() == [ended]


async def test_a_ticket_that_ended_is_not_offered_again_before_its_report_was_read(fleet: Fleet) -> None:
    """The answer to its offer was lost, so that it is repeated."""
    one = fleet.ticket(1, "a")
    await fleet.shared.offer([one])
    worker = await fleet.worker()
    await worker.take(1, [])
    await worker.report([TicketReport(one.number, {"a": SYNCED}, last=True)])
    assert list(await fleet.shared.unfinished()) == []
    await fleet.shared.offer([one])
    assert await worker.take(1, []) == []
    assert await fleet.shared.taken() == []


async def test_a_stop_reaches_the_worker_and_removes_what_is_not_taken(fleet: Fleet) -> None:
    one, two = fleet.ticket(1, "a", "b"), fleet.ticket(2, "c")
    await fleet.shared.offer([one, two])
    worker = await fleet.worker()
    await worker.take(1, [])
    assert await worker.stopped() == {}
    await fleet.shared.stop({one.number: {"b"}, two.number: {"c"}})
    assert {number: set(ids) for number, ids in (await worker.stopped()).items()} == {one.number: {"b"}}
    assert set(await fleet.shared.unfinished()) == {one.number}
    assert await worker.take(5, [one.number]) == []


async def test_the_tickets_of_a_dead_worker_end_and_it_can_say_nothing_more(fleet: Fleet) -> None:
    one = fleet.ticket(1, "a")
    await fleet.shared.offer([one])
    dead, living = await fleet.worker(), await fleet.worker()
    await dead.take(1, [])
    assert len(await fleet.shared.sweep()) == 2
    assert set(await fleet.shared.unfinished()) == {one.number}
    await fleet.end(dead)
    assert [status.slots for status in await fleet.shared.sweep()] == [4]
    with pytest.raises(JournalTakenOver):
        await dead.report([TicketReport(one.number, {"a": SYNCED}, last=True)])
    with pytest.raises(JournalTakenOver):
        await dead.take(1, [])
    assert await fleet.shared.reports() == []
    assert await fleet.shared.unfinished() in (set(), [])
    assert await living.take(1, []) == []


async def test_a_sweep_removes_what_a_former_owner_offered_and_no_worker_took(fleet: Fleet) -> None:
    former, now = Ticket(fleet.shared.first - 1, (Work("a", "d"),)), fleet.ticket(1, "b")
    taken = Ticket(fleet.shared.first - 2, (Work("c", "d"),))
    worker = await fleet.worker()
    await fleet.shared.offer([taken])
    await worker.take(1, [])
    await fleet.shared.offer([former, now])
    await fleet.shared.sweep()
    assert set(await fleet.shared.unfinished()) == {taken.number, now.number}
    assert await worker.take(5, [taken.number]) == [now]
