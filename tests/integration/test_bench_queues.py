"""The parts of `make bench ARGS=queues` on a real PostgreSQL, with the candidate that needs no other package."""

import asyncio
import sys

import psycopg
import pytest

from tests.bench.queue_own import Own
from tests.bench.queue_page import page
from tests.bench.queue_peers import own
from tests.bench.queues import Bed, chosen, enqueue, filled, full_names, work
from tests.bench.run import document_of
from tests.support.postgres import PostgresServer


@pytest.fixture
def bed(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setenv("MIRRORD_BENCH_ENV", sys.prefix)  # the tests' environment: no peers, but psycopg
    return Bed(postgres, scale=0.01, rounds=1)


async def test_two_workers_share_the_tickets_and_the_page_shows_them(bed: Bed) -> None:
    added = await enqueue(bed, "own")
    worked = await work(bed, "own", batch=1, workers=2)
    assert added["tickets_s"] > 0
    assert worked["client_us"] > 0
    scenarios = {
        "enqueue": {"load": 1.5, "queues": {"own": {**added, "tickets_s": 12_345.6}}},
        "work-2": {"load": 0.5, "queues": {"own, 1 a claim": worked}},
    }
    found = {"server": "18", "versions": {"psycopg": "3"}, "rounds": 1, "scenarios": scenarios}
    text = page({**document_of([], 1), "queues": found})
    assert "| enqueue, 500 a batch: tickets/s | 12,346 | – | – |" in text
    assert "Load averages of 0.5 to 1.5" in text


async def test_a_worker_that_lost_its_lease_claims_and_finishes_nothing(bed: Bed) -> None:
    dsn = await filled(bed, "own", 2)
    name = dsn.partition("?")[0].rpartition("/")[2]
    async with own(dsn) as late, own(dsn) as other:
        assert isinstance(late, Own)
        assert isinstance(other, Own)
        assert await late.fetch()
        (ticket, worker), *_ = bed.server.sql("SELECT id, worker FROM ticket WHERE worker IS NOT NULL", name)
        bed.server.sql(f"UPDATE worker SET seen = now() - interval '1 min' WHERE id = {worker}", name)
        assert not await late.fetch()
        await other.sweep()
        assert await other.fetch()
        assert await late.finish([ticket]) == 1
        assert await other.finish([ticket]) == 0
    assert bed.server.sql("SELECT count(*) FROM ticket", name) == [(1,)]


async def test_a_claim_passes_over_a_ticket_that_another_worker_is_claiming(bed: Bed) -> None:
    dsn = await filled(bed, "own", 2)
    async with own(dsn) as queue, await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute("SELECT FROM ticket ORDER BY id LIMIT 1 FOR UPDATE")
        assert await asyncio.wait_for(queue.fetch(), 30)
        assert not await asyncio.wait_for(queue.fetch(), 30)


def test_scenarios_are_chosen_by_parts_of_their_full_names() -> None:
    assert chosen(["queues-work"]) == ["work-1", "work-2"]
    assert [f"queues-{name}" for name in chosen([])] == full_names()
