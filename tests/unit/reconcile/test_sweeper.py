"""The sweep against a store and a journal in memory: what is aborted, kept, reported and forgotten."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from mirrord.errors import StoreDenied, StoreRefused, StoreUnavailable
from mirrord.events import UploadAborted
from mirrord.model import Destination, ObjectOptions, PartSizes, Revision, State, Transfer, TransferKind, Upload
from mirrord.planning.transfers.sweep import LATE_CREATE
from mirrord.ports import ObjectStore
from mirrord.reconcile.sweeper import COPY_ENTRY, COPY_RETURNS, PAUSE_FOR_AN_ID, RETURNS, UploadSweeper
from mirrord.testing import ManualClock, MemoryJournal, MemoryStore
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "key")


class Store(MemoryStore):
    """Aborts and lists as the test wants it."""

    fails: StoreUnavailable | StoreDenied | None = None
    lists = 0
    listed: Callable[[], Awaitable[None]] | None = None

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        if self.fails is not None:
            raise self.fails
        await super().abort_upload(at, upload_id)

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        self.lists += 1
        found: list[Upload] = [upload async for upload in super().list_uploads(bucket, prefix)]
        if self.listed is not None:
            await self.listed()
        for upload in found:
            yield upload


@dataclass
class World:
    clock: ManualClock = field(default_factory=ManualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[UploadAborted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(clock=self.clock.now)
        self.store.buckets["bucket"] = {}
        self.refuses: StoreRefused | None = None

        self.sweeper = UploadSweeper(
            journal=self.journal, store_at=self.store_at, observer=self.events.append, clock=self.clock
        )

    async def store_at(self, at: Destination) -> ObjectStore:
        if self.refuses is not None:
            raise self.refuses
        return self.store

    async def begin(self, name: str = "t", at: Destination = AT, **changes: object) -> Transfer:
        intent = Transfer(
            id=name,
            item_id=at.item_id,
            destination=at,
            revision=Revision(address="a"),
            kind=TransferKind.MULTIPART,
            part_sizes=PartSizes.equal(1),
            started=self.clock.now(),
        )
        intent = with_fields(intent, **changes)
        await self.journal.begin(intent)
        return intent

    async def opened(self, at: Destination = AT) -> str:
        return await self.store.create_upload(at, ObjectOptions())

    async def given_up(self) -> list[str]:
        return [one.id async for one in self.journal.given_up()]


@pytest.fixture
def world() -> World:
    return World()


async def test_what_a_crash_left_without_an_id_is_found_and_the_intent_kept_until_nothing_can_come(
    world: World,
) -> None:
    await world.begin()
    upload = await world.opened()
    await world.clock.advance(100)
    await world.sweeper.begin()
    await world.sweeper.sweep()
    assert world.store.uploads == {}
    assert [(event.key, event.upload_id) for event in world.events] == [("key", upload)]
    late = await world.opened()  # the store took its time with a second one
    await world.sweeper.sweep()
    assert [event.upload_id for event in world.events] == [upload, late]
    assert await world.given_up() == ["t"]
    await world.clock.advance(LATE_CREATE + 1)
    await world.sweeper.sweep()
    assert await world.given_up() == []
    lists = world.store.lists
    await world.sweeper.sweep()
    assert world.store.lists == lists, "where nothing was given up, no store is asked"


async def test_other_uploads_at_the_key_are_reported_once_and_stay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = await world.opened()
    other_key = await world.opened(replace(AT, key="key2"))
    await world.clock.advance(1000)
    await world.begin()
    await world.clock.advance(100)
    await world.sweeper.begin()
    await world.clock.advance(1000)
    after = await world.opened()
    with caplog.at_level(logging.WARNING):
        await world.sweeper.sweep()
        await world.sweeper.sweep()
    assert set(world.store.uploads) == {before, after, other_key}
    assert world.events == []
    for upload in (before, after):
        assert sum(upload in record.message for record in caplog.records) == 1
    assert all(other_key not in record.message for record in caplog.records)


async def test_the_upload_of_a_running_transfer_is_no_strangers(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.begin("lost")
    await world.sweeper.begin()
    upload = await world.opened()
    await world.begin("runs", upload_id=upload)
    await world.sweeper.sweep()
    assert set(world.store.uploads) == {upload}
    assert upload not in caplog.text


async def test_the_upload_of_another_process_is_no_strangers(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a journal of several processes `unfinished_of` leaves out what a living one began."""

    async def none(_self: object, _item_id: str) -> list[Transfer]:
        return []

    monkeypatch.setattr(MemoryJournal, "unfinished_of", none)
    await world.begin("lost")
    await world.sweeper.begin()
    upload = await world.opened()
    await world.begin("runs", upload_id=upload)
    await world.sweeper.sweep()
    assert set(world.store.uploads) == {upload}
    assert upload not in caplog.text


async def test_an_upload_that_is_just_being_opened_is_left_for_the_next_sweep(world: World) -> None:
    """The journal is asked after the store: whatever the list showed, its intent is there by then."""
    await world.begin("lost")
    await world.sweeper.begin()
    upload = await world.opened()

    async def listed() -> None:
        await world.begin("opens")

    world.store.listed = listed
    await world.sweeper.sweep()
    assert set(world.store.uploads) == {upload}
    world.store.listed = None
    await world.journal.opened("opens", upload)
    await world.sweeper.sweep()
    assert set(world.store.uploads) == {upload}


@pytest.mark.parametrize("runs", [0, 60, 250])
async def test_a_sweep_that_was_put_off_by_a_running_intent_is_made_up_for_soon(world: World, runs: float) -> None:
    await world.begin("lost")
    await world.opened()
    await world.sweeper.begin()
    await world.begin("opens")
    sweeping = asyncio.create_task(world.sweeper.run())
    await world.clock.advance(runs)
    assert len(world.store.uploads) == 1
    await world.journal.abandon("opens")
    await world.clock.advance(PAUSE_FOR_AN_ID)
    sweeping.cancel()
    assert world.store.uploads == {}


async def test_intents_that_could_not_be_searched_for_are_not_forgotten(world: World) -> None:
    await world.begin("lost")
    upload = await world.opened()
    await world.sweeper.begin()
    await world.begin("opens")
    await world.clock.advance(LATE_CREATE + 1)
    await world.sweeper.sweep()
    assert (set(world.store.uploads), await world.given_up()) == ({upload}, ["lost"])
    await world.journal.abandon("opens")
    await world.sweeper.sweep()
    assert (world.store.uploads, await world.given_up()) == ({}, [])


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreDenied("no")])
async def test_an_abort_that_failed_is_tried_until_it_works(
    world: World, error: StoreUnavailable | StoreDenied
) -> None:
    await world.begin(upload_id=await world.opened())
    await world.journal.give_up("t", world.clock.now())
    world.store.fails = error
    await world.sweeper.sweep()
    assert await world.given_up() == ["t"]
    world.store.fails = None
    await world.sweeper.sweep()
    assert (world.store.uploads, await world.given_up()) == ({}, [])


async def test_a_store_that_does_not_answer_is_asked_once_a_sweep(world: World) -> None:
    for number in range(5):
        at = replace(AT, key=f"key{number}")
        await world.begin(f"t{number}", at, upload_id=await world.opened(at))
        await world.journal.give_up(f"t{number}", world.clock.now())
    asked: list[str] = []

    async def abort_upload(at: Destination, upload_id: str) -> None:
        asked.append(upload_id)
        raise StoreUnavailable("away")

    world.store.abort_upload = abort_upload  # type: ignore[method-assign]
    await world.sweeper.sweep()
    assert len(asked) == 1
    assert len(await world.given_up()) == 5


async def test_a_store_that_is_not_declared_any_more_keeps_what_was_left_and_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.begin(upload_id=await world.opened())
    await world.journal.give_up("t", world.clock.now())
    world.refuses = StoreRefused("no store is named 'default'")
    await world.sweeper.sweep()
    await world.sweeper.sweep()
    assert await world.given_up() == ["t"]
    assert caplog.text.count("no store is named") == 1


async def test_with_its_bucket_all_is_gone(world: World) -> None:
    await world.begin()
    await world.sweeper.begin()
    world.store.buckets.clear()
    await world.sweeper.sweep()
    assert await world.given_up() == []


@pytest.mark.parametrize(("entry", "seconds"), [("e", RETURNS), (COPY_ENTRY, COPY_RETURNS)])
async def test_parts_kept_for_an_item_that_left_are_removed_once_it_stayed_away(
    world: World, entry: str, seconds: float
) -> None:
    await world.begin(upload_id=await world.opened())
    left = make_record(
        item_id=AT.item_id, entry=entry, source="s", destination=AT, state=State.RETRYING, removed=world.clock.now()
    )
    await world.journal.save(left)
    await world.clock.advance(seconds)
    await world.sweeper.sweep()
    assert len(world.store.uploads) == 1
    await world.clock.advance(1)
    await world.sweeper.sweep()
    assert world.store.uploads == {}
    assert [one async for one in world.journal.unfinished()] == await world.given_up() == []


async def test_beside_a_program_it_sweeps_what_the_program_gave_up(world: World) -> None:
    async with world.sweeper.beside():
        await world.begin(upload_id=await world.opened())
        await world.journal.give_up("t", world.clock.now())
    assert world.store.uploads == {}


async def test_beside_a_program_that_fails_its_error_comes_out_as_it_is(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.sweeper.beside():
            raise ZeroDivisionError
