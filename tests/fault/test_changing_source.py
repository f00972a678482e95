"""Sources that change or misbehave during a transfer, with a real local origin: the object is one whole revision.

In one process, with a store and a journal in memory and small parts. The random test makes 25 runs, 500 with
MIRRORD_SOAK=1.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from mirrord.events import TransferCompleted, TransferFailed, TransferInterrupted, TransferResumed
from mirrord.model import State, origin_at
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.sources.http import HttpSources
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.changing_source import AT, PART, SIZE, World, ranges_asked, whole, world
from tests.support.measuring import SOAK
from tests.support.origin import (
    Asked,
    Behaviour,
    Generated,
    Origin,
    Reply,
    answers,
    cut_after,
    forces_gzip,
    ignores_range,
    once,
    resizes_body,
    rotating_etag,
    says,
    shifts_range,
    stalls_after,
    weak_etag,
    without,
)

RUNS = 500 if SOAK else 25


# ── parallel ranges ───────────────────────────────────────────────────────────────────────────────
async def test_pinned_ranges_are_read_in_parallel_up_to_connections(origin: Origin) -> None:
    content = Generated(SIZE, 1)
    for connections, ranges in ((1, 0), (2, 2), (4, 6)):
        origin.publish("/x", content)
        origin.log.clear()
        async with world(origin, connections) as one:
            assert (await one.reconcile()).state is State.SYNCED
            assert one.content == whole(content)
        # The response to the probe has the first part; each other part is a pinned range request.
        assert len(ranges_asked(origin)) == ranges
        assert all("if-range" in asked.headers for asked in origin.asked("/x") if "range" in asked.headers)


async def test_ranges_are_requested_at_the_same_time(origin: Origin) -> None:
    """Each of four responses waits until all four are requested."""
    origin.publish("/x", Generated(SIZE, 1))
    asked: set[str] = set()

    def first_piece_waits(reply: Reply, seen: Asked) -> None:
        asked.add(seen.headers.get("range", "whole"))
        if len(asked) < 4:
            reply.stall_at = 1000

    origin.behave("/x", first_piece_waits)
    async with world(origin) as one, asyncio.timeout(30):
        running = asyncio.create_task(one.reconcile())
        while len(asked) < 4:
            assert not running.done()
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("memory", [2 * PART, 64 * PART])
async def test_many_items_of_one_host_share_few_connections_slots_and_buffers(
    origin: Origin, slots: int, memory: int
) -> None:
    """A transfer that has one of the three waits for another, and no wait is without end."""
    urls = [origin.publish(f"/{n}", Generated(SIZE, n)) for n in range(8)]
    async with HttpSources(per_host=2) as sources, world(origin) as one:
        one.sources = sources
        transfers = replace(one.reconciler.transfers, slots=TransferSlots(slots), budget=Budget(memory))
        reconciler = replace(one.reconciler, source_of=sources.source, transfers=transfers)
        destinations = [replace(AT, key=str(n)) for n in range(8)]
        items = [
            replace(one.item, id=at.item_id, destination=at, origin=origin_at(url))
            for at, url in zip(destinations, urls, strict=True)
        ]
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*map(reconciler.reconcile, items))
        assert {outcome.state for outcome in outcomes} == {State.SYNCED}, outcomes
        stored = one.store.buckets["bucket"]
        assert [stored[str(n)].content == whole(Generated(SIZE, n)) for n in range(8)] == [True] * 8


# ── fallback to one stream ──────────────────────────────────────────────────
def on_ranges(behaviour: Behaviour) -> Behaviour:
    """Only responses to a Range are changed."""
    return lambda reply, asked: behaviour(reply, asked) if "range" in asked.headers else None


def multipart_byteranges(reply: Reply, asked: Asked) -> None:
    reply.headers.pop("Content-Range", None)
    reply.headers["Content-Type"] = "multipart/byteranges; boundary=x"


PIN_BREAKERS: dict[str, Callable[[], Behaviour]] = {
    "200 to a range": lambda: on_ranges(ignores_range()),
    "200 to every second range": lambda: on_ranges(once(ignores_range())),
    "weak validator": lambda: on_ranges(weak_etag()),
    "no validator": lambda: on_ranges(without("ETag")),
    "another validator": lambda: on_ranges(says(ETag='"other"')),
    "rotating validator": rotating_etag,
    "shifted range": lambda: on_ranges(shifts_range()),
    "another total": lambda: on_ranges(says(Content_Range=f"bytes {PART}-{2 * PART - 1}/{SIZE + 1}")),
    "no Content-Range": lambda: on_ranges(without("Content-Range")),
    "multipart/byteranges": lambda: on_ranges(multipart_byteranges),
    "another content coding": lambda: on_ranges(forces_gzip()),
}


@pytest.mark.parametrize("name", PIN_BREAKERS)
async def test_a_response_that_is_not_the_pinned_range_leads_to_one_whole_stream(origin: Origin, name: str) -> None:
    content = Generated(SIZE, 2)
    origin.publish("/x", content)
    origin.behave("/x", PIN_BREAKERS[name]())
    async with world(origin) as one:
        outcome = await one.reconcile(1)
        assert outcome.state is State.SYNCED, outcome
        assert one.content == whole(content)
        assert one.store.uploads == {}
        assert await one.unfinished() == 0
        assert one.events_of(TransferFailed) == []
        assert len(one.events_of(TransferCompleted)) == 1
    assert "range" not in origin.log[-1].headers
    assert origin.log[-1].sent == SIZE


@pytest.mark.parametrize("broken", [without("ETag"), weak_etag(), without("Accept-Ranges")])
async def test_without_a_strong_validator_or_ranges_one_stream_is_read(origin: Origin, broken: Behaviour) -> None:
    content = Generated(SIZE, 2)
    origin.publish("/x", content)
    origin.behave("/x", broken)
    async with world(origin) as one:
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(content)
    assert [asked.sent for asked in origin.log] == [SIZE]


# ── streams that break ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("connections", [1, 4])
async def test_a_pinned_stream_is_resumed_where_it_broke(origin: Origin, connections: int) -> None:
    content = Generated(SIZE, 3)
    origin.publish("/x", content)
    origin.behave("/x", once(stalls_after(MiB // 2)), on_ranges(once(cut_after(PART // 3))))
    async with world(origin, connections) as one:
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(content)
        assert one.events_of(TransferFailed) == []
    assert sum(asked.status == 206 for asked in origin.log) >= 2


async def test_a_stream_that_is_not_pinned_is_begun_again(origin: Origin) -> None:
    content = Generated(SIZE, 3)
    origin.publish("/x", content)
    origin.behave("/x", without("ETag"), once(cut_after(3 * PART)))
    async with world(origin) as one:
        assert (await one.reconcile(1)).state is State.RETRYING
        assert one.store.uploads == {}
        assert await one.unfinished() == 0
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(content)
        assert one.events_of(TransferResumed) == []


async def test_a_source_that_always_breaks_is_retried_later_with_its_parts_kept(origin: Origin) -> None:
    origin.publish("/x", Generated(SIZE, 3))
    origin.behave("/x", stalls_after(PART * 5 // 4), on_ranges(answers(503)))
    async with world(origin, 1) as one:
        assert (await one.reconcile(1)).state is State.RETRYING
        (upload,) = one.store.uploads.values()
        kept = len(upload.parts)
        assert kept > 0
        origin.behave("/x")
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(Generated(SIZE, 3))
        (resumed,) = one.events_of(TransferResumed)
        assert isinstance(resumed, TransferResumed)
        assert (resumed.parts, resumed.bytes) == (kept, kept * PART)


async def test_more_bytes_than_the_range_fail(origin: Origin) -> None:
    origin.publish("/x", Generated(SIZE, 3))
    origin.behave("/x", on_ranges(resizes_body(1)))
    async with world(origin) as one:
        assert (await one.reconcile(2)).state is State.RETRYING
        assert "key" not in one.store.buckets["bucket"]


# ── interruptions ─────────────────────────────────────────────────────────────────────────────────
async def interrupted(one: World, parts: int) -> None:
    """Cancel the attempt once the journal has so many parts."""
    running = asyncio.create_task(one.reconcile(1))
    while len(await one.journal.parts(next(iter(one.journal._transfers), ""))) < parts:
        assert not running.done()
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("pinned", [True, False])
async def test_an_interruption_keeps_the_parts_of_a_pinned_source(origin: Origin, pinned: bool) -> None:
    content = Generated(SIZE, 4)
    origin.publish("/x", content)
    slow = [] if pinned else [without("ETag")]
    origin.behave("/x", *slow, stalls_after(PART * 9 // 4))
    async with world(origin, 1) as one:
        await interrupted(one, 2)
        (interrupted_event,) = one.events_of(TransferInterrupted)
        assert isinstance(interrupted_event, TransferInterrupted)
        assert interrupted_event.outcome == ("parts kept" if pinned else "parts dropped")
        assert len(one.store.uploads) == await one.unfinished() == pinned
        origin.behave("/x", *slow)
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(content)
        assert len(one.events_of(TransferResumed)) == pinned
        assert one.store.uploads == {}
        assert await one.unfinished() == 0


async def test_a_source_that_is_missing_after_an_interruption_leaves_no_upload(origin: Origin) -> None:
    origin.publish("/x", Generated(SIZE, 4))
    origin.behave("/x", stalls_after(PART * 9 // 4))
    async with world(origin, 1) as one:
        await interrupted(one, 2)
        origin.behave("/x", answers(404))
        assert (await one.reconcile(1)).state is State.BLOCKED
        assert one.store.uploads == {}
        assert await one.unfinished() == 0


async def test_a_source_that_returned_to_the_stored_revision_leaves_no_upload(origin: Origin) -> None:
    first, second = Generated(SIZE, 4), Generated(SIZE, 5)
    origin.publish("/x", first)
    published = origin._published["/x"]
    async with world(origin) as one:
        assert (await one.reconcile(1)).state is State.SYNCED
        origin.publish("/x", second)
        origin.behave("/x", stalls_after(PART * 9 // 4))
        await interrupted(one, 2)
        origin.behave("/x")
        origin._published["/x"] = published
        assert (await one.reconcile(1)).copied is None
        assert one.content == whole(first)
        assert one.store.uploads == {}
        assert await one.unfinished() == 0


async def test_an_upload_that_vanished_at_the_store_is_begun_again(origin: Origin) -> None:
    origin.publish("/x", Generated(SIZE, 4))
    origin.behave("/x", stalls_after(PART * 9 // 4))
    async with world(origin, 1) as one:
        await interrupted(one, 2)
        origin.behave("/x")
        one.store.uploads.clear()
        assert (await one.reconcile(1)).state is State.SYNCED
        assert one.content == whole(Generated(SIZE, 4))
        assert one.events_of(TransferResumed) == []
        assert await one.unfinished() == 0


# ── never a mixture ───────────────────────────────────────────────────────────────────────────────
@dataclass
class Changing:
    """Publishes another version at random requests, at most four in all; cuts some responses."""

    origin: Origin
    chance: random.Random
    seen: int = 0
    versions: list[Generated] = field(default_factory=list)

    def publish(self) -> None:
        size = self.chance.choice((SIZE, SIZE, SIZE + 1, SIZE - PART // 2))
        self.versions.append(Generated(size, self.chance.randrange(2**32)))
        self.origin.publish("/x", self.versions[-1])

    def __call__(self, reply: Reply, asked: Asked) -> None:
        self.seen += 1
        if self.chance.random() < 0.25 and len(self.versions) < 4:
            self.publish()  # later responses are of the new version, this one of the old version
        if self.chance.random() < 0.3:
            reply.cut_at = self.chance.randrange(reply.end - reply.start + 1)


MANNERS: list[Callable[[], Behaviour]] = [
    lambda: lambda reply, asked: None,
    weak_etag,
    lambda: without("ETag"),
    lambda: without("ETag", "Last-Modified"),
    rotating_etag,
    lambda: on_ranges(ignores_range()),
    lambda: on_ranges(once(shifts_range())),
    lambda: without("Accept-Ranges"),
]


async def test_a_source_that_changes_during_a_transfer_never_yields_a_mixture(origin: Origin) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    resumed = 0
    for number in range(20 * RUNS):
        if number >= RUNS and resumed:
            break  # the moments of the interruptions depend on the machine: few runs may have none to resume
        chance = random.Random(seed + number)
        changing = Changing(origin, chance)
        changing.publish()
        origin.behave("/x", chance.choice(MANNERS)(), changing)
        async with world(origin, chance.choice((1, 2, 4))) as one:
            for _ in range(3):
                running = asyncio.create_task(one.reconcile(3))
                await asyncio.wait([running], timeout=chance.choice((None, chance.random() / 10)))
                running.cancel()
                await asyncio.wait([running])
            if kept := one.store.buckets["bucket"].get("key"):
                assert kept.content in [whole(version) for version in changing.versions], f"run {number}: a mixture"
            origin.behave("/x")
            assert (await one.reconcile(3)).state is State.SYNCED
            assert one.content == whole(changing.versions[-1]), f"run {number}"
            assert one.store.uploads == {}, f"run {number}"
            assert await one.unfinished() == 0
            resumed += len(one.events_of(TransferResumed))
    assert resumed > 0
