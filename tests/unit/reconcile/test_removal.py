"""The last check before an object is deleted because its file is gone: what is deleted, kept and recorded."""

from dataclasses import dataclass, field, replace

import pytest

from mirrord.errors import Reason, SourceDenied, SourceMissing, SourceRefused, StoreDenied, StoreUnavailable
from mirrord.events import Event, ItemBlocked, ItemPruned
from mirrord.model import (
    META_TRANSFER,
    Condition,
    Destination,
    Drift,
    File,
    FileIdentity,
    FormerSource,
    Holder,
    Item,
    ObjectOptions,
    Outcome,
    Record,
    Revision,
    State,
)
from mirrord.ports import ObjectStore
from mirrord.reconcile.records import LEFT as LEAVES
from mirrord.reconcile.removal import ObjectRemoval
from mirrord.testing import ManualClock, MemoryJournal, MemorySource, MemoryStore
from tests.support.item_world import AT as ITEM_AT
from tests.support.item_world import World as ItemWorld
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "in/a")
ITEM = Item(id=AT.item_id, entry="inbox", origin=File("/srv/inbox", "a"), destination=AT, gone=True)
THERE = Revision(address="x", length=1, file=FileIdentity(1, 2, 3, 4, 5))


async def delete_object(store: ObjectStore, at: Destination, etag: str) -> bool:
    return await store.delete_object(at)


@dataclass
class World:
    store: MemoryStore = field(default_factory=MemoryStore)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)

    async def uploaded(self, transfer_id: str = "t1") -> None:
        await self.store.ensure_bucket("bucket")
        stamp = ObjectOptions(metadata={META_TRANSFER: transfer_id})
        stored = await self.store.put_object(AT, memoryview(b"one"), stamp)
        record = make_record(
            item_id=ITEM.id,
            entry="inbox",
            source=ITEM.origin.address,
            destination=AT,
            state=State.SYNCED,
            revision=THERE,
            transfer_id="t1",
            etag=stored.etag,
            size=3,
            etag_from_head=True,
        )
        await self.journal.save(record)

    async def remove(self, found: Exception | None = None) -> Outcome:
        removal = ObjectRemoval(self.journal, self.events.append, ManualClock(), delete_object)
        place = MemorySource(fails=found or SourceMissing("gone"))
        return await removal.remove_gone(ITEM, await self.record(), self.store, place)

    async def record(self) -> Record:
        record = await self.journal.record(ITEM.id)
        assert record is not None
        return record

    @property
    def exists(self) -> bool:
        return AT.key in self.store.buckets["bucket"]

    @property
    def event_types(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


@pytest.fixture
async def world() -> World:
    await (world := World()).uploaded()
    return world


async def test_in_a_bucket_with_versions_the_message_names_the_delete_marker(world: World) -> None:
    world.store.versioned.add("bucket")
    outcome = await world.remove()
    assert outcome.pruned
    assert "a delete marker hides the object" in outcome.message
    assert (await world.record()).condition.message == outcome.message
    (event,) = world.events
    assert isinstance(event, ItemPruned)
    assert event.message == outcome.message


@pytest.mark.parametrize("found", [SourceMissing("no such file"), SourceRefused("it is a directory")])
async def test_our_object_goes_and_nothing_is_remembered_of_it(world: World, found: Exception) -> None:
    assert (await world.remove(found)).pruned
    assert not world.exists
    assert world.event_types == [ItemPruned]
    record = await world.record()
    assert record.removed is not None
    assert (record.revision, record.object.etag, record.object.transfer_id, record.object.size) == (
        None,
        None,
        None,
        None,
    )


async def test_a_file_that_is_back_keeps_its_object(world: World) -> None:
    before = await world.record()
    removal = ObjectRemoval(world.journal, world.events.append, ManualClock(), delete_object)
    outcome = await removal.remove_gone(ITEM, before, world.store, MemorySource())
    assert not outcome.pruned
    assert world.exists
    assert await world.record() == before


async def test_a_place_that_cannot_be_checked_keeps_its_object(world: World) -> None:
    with pytest.raises(SourceDenied):
        await world.remove(SourceDenied("permission denied"))
    assert world.exists
    assert (await world.record()).removed is None


@pytest.mark.parametrize("change", ["id", "bytes"])
async def test_an_object_that_others_wrote_stays_and_the_item_leaves(world: World, change: str) -> None:
    stamp = ObjectOptions(metadata={META_TRANSFER: "t2" if change == "id" else "t1"})
    await world.store.put_object(AT, memoryview(b"one" if change == "id" else b"two"), stamp)
    assert not (await world.remove()).pruned
    assert world.exists
    assert world.event_types == [ItemBlocked]
    assert (await world.record()).removed is not None


async def test_an_object_whose_answer_named_another_etag_than_its_head_is_ours(world: World) -> None:
    await world.journal.save(with_fields(await world.record(), etag='"of the answer"', etag_from_head=False))
    assert (await world.remove()).pruned
    assert not world.exists


async def test_an_object_that_is_gone_already_is_no_news(world: World) -> None:
    await world.store.delete_object(AT)
    assert not (await world.remove()).pruned
    assert world.event_types == []
    assert (await world.record()).removed is not None


async def test_an_item_without_object_just_leaves(world: World) -> None:
    await world.journal.save(with_fields(await world.record(), etag=None, transfer_id=None))
    assert not (await world.remove()).pruned
    assert world.exists, "it is not known to be ours"
    assert (await world.record()).removed is not None


async def test_killed_after_the_deletion_the_next_check_does_the_rest(world: World) -> None:
    class Killed(Exception):
        pass

    class Dying(MemoryJournal):
        async def save(self, record: Record) -> None:
            raise Killed

    dying = Dying()
    dying._records = world.journal._records
    journal, world.journal = world.journal, dying
    with pytest.raises(Killed):
        await world.remove()
    assert not world.exists
    world.journal = journal
    assert (await world.record()).removed is None
    await world.remove()
    assert (await world.record()).removed is not None


async def test_a_store_that_is_away_deletes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(at: Destination) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "delete_object", away)
    with pytest.raises(StoreUnavailable):
        await world.remove()
    assert (await world.record()).removed is None


LEFT = Item(id=AT.item_id, entry="inbox", origin=FormerSource("https://h/a"), destination=AT, gone=True)
HELD = {Holder(file="/m.yaml", entry="inbox"): [AT.item_id]}


async def leave(world: World) -> Outcome:
    removal = ObjectRemoval(world.journal, world.events.append, ManualClock(), delete_object)
    await world.journal.hold(HELD)
    return await removal.remove_left(LEFT, await world.record(), world.store)


async def held(world: World) -> list[str]:
    return [item_id async for item_id, _ in world.journal.held()]


async def test_the_object_of_an_item_that_left_goes(world: World) -> None:
    assert (await leave(world)).pruned
    assert not world.exists
    assert world.event_types == [ItemPruned]
    assert await held(world) == []
    assert (await world.record()).condition.message == "it left the manifests, the object was deleted"


async def test_a_retired_item_leaves_too(world: World) -> None:
    await world.journal.retire([AT.item_id], 1.0)
    assert (await leave(world)).pruned


@pytest.mark.parametrize("change", ["id", "bytes", "adopted"])
async def test_of_an_item_that_left_others_objects_stay(world: World, change: str) -> None:
    if change == "adopted":
        await world.journal.save(with_fields(await world.record(), transfer_id=None))
    stamp = ObjectOptions(metadata={META_TRANSFER: "t2" if change == "id" else "t1"} if change != "adopted" else {})
    await world.store.put_object(AT, memoryview(b"two" if change == "bytes" else b"one"), stamp)
    outcome = await leave(world)
    assert (outcome.pruned, "it stays" in outcome.message) == (False, True)
    assert world.exists
    assert await held(world) == []
    assert world.event_types == ([] if change == "adopted" else [ItemBlocked])


async def test_an_object_that_another_entry_has_since_stays(world: World) -> None:
    await world.journal.hold(HELD)
    await world.journal.save(with_fields(await world.record(), entry="another"))
    removal = ObjectRemoval(world.journal, world.events.append, ManualClock(), delete_object)
    assert not (await removal.remove_left(LEFT, await world.record(), world.store)).pruned
    assert world.exists


@pytest.mark.parametrize("copied", [False, True])
async def test_an_object_that_another_endpoint_shows_too_stays(world: World, copied: bool) -> None:
    """Two endpoints of one store: the item of the other one has adopted the object. `copied`: they are two stores."""
    other, at = MemoryStore() if copied else world.store, replace(AT, store="public")
    if copied:
        await other.ensure_bucket("bucket")
        await other.put_object(at, memoryview(b"one"), ObjectOptions(metadata={META_TRANSFER: "another"}))
    await world.journal.hold(HELD)
    removal = ObjectRemoval(world.journal, world.events.append, ManualClock(), delete_object)
    outcome = await removal.remove_left(LEFT, await world.record(), world.store, [(at, other)])
    assert (outcome.pruned, world.exists, await held(world)) == (copied, not copied, [])


async def test_a_deletion_that_failed_is_not_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(at: Destination) -> None:
        raise StoreDenied("no")

    monkeypatch.setattr(world.store, "delete_object", denied)
    with pytest.raises(StoreDenied):
        await leave(world)
    assert await held(world) == [AT.item_id]


async def test_a_listing_that_lacks_the_source_proves_no_deletion() -> None:
    world, listed = ItemWorld(), replace(ITEM_AT, key="in/key.txt")
    await world.check()
    await world.store.put_object(listed, memoryview(b"x"), ObjectOptions())
    left = replace(world.item, origin=FormerSource(str(listed), listed=listed), gone=True)
    outcome = await world.reconciler.reconcile(left)
    assert (outcome.state, outcome.reason, outcome.pruned) == (State.BLOCKED, Reason.CONFLICT, False)
    assert world.content is not None
    await world.store.delete_object(listed)
    assert (await world.reconciler.reconcile(left)).pruned
    assert world.content is None


@pytest.mark.parametrize("drift", Drift)
async def test_an_item_that_comes_back_after_an_unrecorded_deletion_is_written_again(drift: Drift) -> None:
    world = ItemWorld()
    await world.check(drift=drift)
    record = await world.journal.record(ITEM_AT.item_id)
    assert record is not None
    await world.journal.save(replace(record, condition=Condition(state=State.PENDING, message=LEAVES)))
    await world.store.delete_object(ITEM_AT)
    assert (await world.check(drift=drift)).copied is not None
    assert world.content is not None
