"""Objects with a key of the customer (SSE-C): which key each request has, and what is not overwritten or deleted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.model import (
    META_TRANSFER,
    Condition,
    Drift,
    ObjectOptions,
    Outcome,
    Overwrite,
    PartSizes,
    ProviderName,
    Record,
    RecordedObject,
    Revision,
    State,
    StoredObject,
    TransferKind,
)
from mirrord.providers import profile
from mirrord.reconcile.removal import ObjectRemoval
from mirrord.reconcile.uncertain import Resolution, resolution_of
from mirrord.testing import MemoryStore
from mirrord.transfer.verify import compare_head
from tests.support.called_store import Calls
from tests.support.customer_keys import DIGEST_OF_FIRST as ONE
from tests.support.customer_keys import DIGEST_OF_SECOND as TWO
from tests.support.item_world import AT, World
from tests.support.records import make_record, make_transfer


class Keyed(World):
    """A world whose item may have a key."""

    def __init__(self) -> None:
        self.calls = Calls()
        super().__init__(store=self.calls)

    async def checked(self, key: str | None, **options: object) -> Outcome:
        self.calls.calls.clear()
        self.item = replace(self.item, destination=AT.keyed(key))
        return await self.check(object=ObjectOptions(customer_key=key), **options)

    @property
    def key(self) -> str | None:
        return self.store.buckets["bucket"][AT.key].customer_key

    async def record(self) -> Record:
        found = await self.journal.record(AT.item_id)
        assert found is not None
        return found


async def test_each_edit_of_the_key_is_a_copy_by_the_store() -> None:
    world = Keyed()
    for number, key in enumerate((ONE, TWO, None, ONE)):
        outcome = await world.checked(key)
        assert (outcome.state, world.key) == (State.SYNCED, key)
        assert world.calls.calls == ["copy"] if number else ["put"]
        assert (await world.record()).object_at.customer_key == key
        assert (await world.checked(key)).copied is None
        assert world.calls.calls == []


async def test_a_changed_source_is_sent_with_the_key_of_now() -> None:
    world = Keyed()
    await world.checked(ONE)
    world.origin.content, world.origin.etag = b"another", '"2"'
    assert (await world.checked(TWO)).state is State.SYNCED
    assert (world.calls.calls, world.key, world.content) == (["put"], TWO, b"another")


@pytest.mark.parametrize("key", [TWO, None])
@pytest.mark.parametrize("overwrite", Overwrite)
async def test_an_object_whose_key_is_not_declared_any_more_is_blocked(key: str | None, overwrite: Overwrite) -> None:
    world = Keyed()
    await world.checked(ONE)
    world.store.undeclared_keys.add(ONE)
    for _ in range(2):
        outcome = await world.checked(key, overwrite=overwrite)
        assert (outcome.state, outcome.reason, world.calls.calls) == (State.BLOCKED, Reason.CONFLICT, [])
        assert "needs another key (SSE-C)" in outcome.message
    world.store.undeclared_keys.clear()
    outcome = await world.checked(key)
    assert (outcome.state, world.key) == (State.SYNCED, key)


async def test_where_drift_is_ignored_nothing_is_looked_at_and_the_bytes_are_sent() -> None:
    world = Keyed()
    await world.checked(ONE, drift=Drift.IGNORE)
    world.store.undeclared_keys.add(ONE)

    async def refused(*_: object) -> None:
        raise AssertionError("a HEAD")

    world.store.head_object = refused  # type: ignore[method-assign,assignment]
    assert (await world.checked(TWO, drift=Drift.IGNORE)).state is State.SYNCED
    assert (world.calls.calls, world.key) == (["put"], TWO)


@pytest.mark.parametrize(
    ("overwrite", "state"), [("always", State.SYNCED), ("owned", State.BLOCKED), ("never", State.BLOCKED)]
)
@pytest.mark.parametrize("written_with", [None, TWO])
async def test_an_object_of_others_with_another_key_is_not_adopted(
    written_with: str | None, overwrite: str, state: State
) -> None:
    world = Keyed()
    await world.store.put_object(AT.keyed(written_with), memoryview(world.origin.content), ObjectOptions())
    outcome = await world.checked(ONE, overwrite=Overwrite(overwrite))
    assert (outcome.state, outcome.adopted) == (state, False)
    assert world.key == (ONE if state is State.SYNCED else written_with)


@pytest.mark.parametrize(("written_with", "lies"), [(None, {}), (None, {"other_key": False}), (TWO, {})])
async def test_without_a_journal_only_an_object_with_the_key_is_adopted(
    written_with: str | None, lies: dict[str, bool]
) -> None:
    """SeaweedFS shows an object that needs no key also to a HEAD with one, as if it had it."""
    world, later, again = Keyed(), Keyed(), Keyed()
    await world.checked(written_with)
    later.store.buckets = again.store.buckets = world.store.buckets
    later.calls.lies = lies
    outcome = await later.checked(ONE, overwrite=Overwrite.OWNED)
    assert (outcome.state, outcome.adopted, later.key) == (State.SYNCED, False, ONE)
    outcome = await again.checked(ONE)
    assert (outcome.state, outcome.adopted, again.calls.calls) == (State.SYNCED, True, [])


async def test_an_object_that_another_program_wrote_with_the_same_bytes_and_without_the_key_has_drifted() -> None:
    """Its ETag may be the same."""
    world = Keyed()
    await world.checked(ONE)
    await world.store.put_object(AT, memoryview(world.origin.content), ObjectOptions())
    outcome = await world.checked(ONE, drift=Drift.REPORT)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.DRIFTED)
    assert outcome.message == "the object is not encrypted as the manifest says (SSE-C)"
    assert (await world.checked(ONE)).state is State.SYNCED
    assert world.key == ONE


# ── objects of items that are not checked any more ────────────────────────────────────────────────
def recorded(key: str | None, stored: StoredObject) -> Record:
    digest = "0123456789abcdef" + (f".{key}" if key else "")
    known = RecordedObject(transfer_id="t1", etag=stored.etag, etag_from_head=True, size=3, options_digest=digest)
    made = make_record(item_id=AT.item_id, entry="e", source="s", destination=AT, state=State.SYNCED)
    return replace(made, object=known)


async def written(key: str | None) -> tuple[World, Record]:
    world = World()
    stored = await world.store.put_object(
        AT.keyed(key), memoryview(b"old"), ObjectOptions(metadata={META_TRANSFER: "t1"})
    )
    record = recorded(key, stored)
    await world.journal.save(record)
    return world, record


Delete = Callable[..., Awaitable[bool]]


def removal(world: World) -> ObjectRemoval:
    async def delete(store: MemoryStore, at: object, etag: str) -> bool:
        return await store.delete_object(AT)

    delete_object: Delete = delete
    return ObjectRemoval(world.journal, world.events.append, world.reconciler.clock, delete_object)


@pytest.mark.parametrize("declared", [True, False])
async def test_an_item_that_left_is_deleted_with_the_key_of_its_object(declared: bool) -> None:
    world, record = await written(ONE)
    world.store.undeclared_keys |= set() if declared else {ONE}
    outcome = await removal(world).remove_left(world.item, record, world.store)
    assert (outcome.pruned, world.content) == (declared, None if declared else b"old")
    if not declared:
        assert outcome.message.endswith("cannot be read with the store's customer_keys: it stays")


@pytest.mark.parametrize("declared", [True, False])
async def test_an_item_that_left_stays_if_another_endpoint_shows_its_object_or_cannot_say(declared: bool) -> None:
    world, record = await written(ONE)
    other = MemoryStore()
    other.buckets = world.store.buckets
    other.undeclared_keys |= set() if declared else {ONE}
    outcome = await removal(world).remove_left(world.item, record, world.store, [(AT, other)])
    assert (outcome.pruned, world.content) == (False, b"old")


@pytest.mark.parametrize(
    ("provider", "declared", "resolution"),
    [
        (ProviderName.AWS, True, Resolution.FINISH),
        (ProviderName.AWS, False, Resolution.ABORT),
        (ProviderName.SEAWEEDFS, True, Resolution.FINISH),
        (ProviderName.SEAWEEDFS, False, Resolution.FORGET),
    ],
)
async def test_an_upload_that_may_be_completed_is_not_aborted_where_its_object_cannot_be_read(
    provider: ProviderName, declared: bool, resolution: Resolution
) -> None:
    world, _ = await written(ONE)
    store = MemoryStore(profile(provider))
    store.buckets = world.store.buckets
    store.undeclared_keys |= set() if declared else {ONE}
    transfer = make_transfer(
        id="t1",
        item_id=AT.item_id,
        destination=AT.keyed(ONE),
        revision=Revision(address="x"),
        kind=TransferKind.MULTIPART,
        part_sizes=PartSizes.equal(1),
        started=0.0,
        upload_id="u",
        complete_requested=0.0,
    )
    assert await resolution_of(transfer, store, 10_000.0) is resolution


async def test_verify_tells_an_object_with_another_key_from_a_changed_one() -> None:
    world, record = await written(ONE)
    assert compare_head(record, await world.store.head_object(record.object_at)).differs is None
    for key in (TWO, None):
        differs = compare_head(record, await world.store.head_object(AT.keyed(key))).differs
        assert differs is not None
        assert "it is not encrypted with the key (SSE-C) that it was written with" in differs


def test_the_place_of_an_object_has_the_key_that_it_was_written_with() -> None:
    made = Record(
        item_id="i",
        entry="e",
        source="s",
        destination=AT.keyed(TWO),
        condition=Condition(state=State.SYNCED),
        object=RecordedObject(options_digest=f"0123456789abcdef.{ONE}"),
    )
    assert (made.object_at, made.object_at.customer_key) == (AT, ONE)
    assert replace(made, object=RecordedObject()).object_at.customer_key is None
