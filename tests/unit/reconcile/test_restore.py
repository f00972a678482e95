"""A version of an object is made current: what is written, recorded and refused, and what later checks do with it."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import (
    JournalUnavailable,
    OutcomeUnknown,
    ReadbackMismatch,
    Reason,
    RestoreRefused,
    StoreRefused,
)
from mirrord.events import TransferCompleted, TransferFailed, TransferStarted
from mirrord.model import (
    META_TRANSFER,
    META_VALIDATOR,
    DeclaredBytes,
    Destination,
    Integrity,
    ObjectDetails,
    ObjectOptions,
    Overwrite,
    Record,
    Revision,
    State,
    StoredObject,
)
from mirrord.reconcile.restore import Restoration
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import ManualClock, MemoryObject
from mirrord.units import MiB
from tests.support.called_store import Calls
from tests.support.customer_keys import DIGEST_OF_FIRST as ONE
from tests.support.customer_keys import DIGEST_OF_SECOND as TWO
from tests.support.item_world import AT, World
from tests.support.options import make_options

OLD, NEW = b"the first version", b"the second version"


class Versions(World):
    """A world whose bucket keeps versions, and whose object has two."""

    def __init__(self, store: Calls | None = None) -> None:
        self.calls = store or Calls()
        super().__init__(store=self.calls, tries=2)
        self.store.versioned.add("bucket")

    async def made(self, *contents: bytes, **options: object) -> None:
        for number, content in enumerate(contents or (OLD, NEW)):
            self.origin.content, self.origin.etag = content, f'"{number}"'
            assert (await self.check(**options)).state is State.SYNCED
        self.calls.calls.clear()
        self.events.clear()

    async def restore(self, version_id: str | None = None) -> Record:
        transfers = self.reconciler.transfers
        assert isinstance(transfers, Transfers)
        item = replace(self.item)
        return await Restoration(transfers).restore(item, self.store, version_id or self.ids[0])

    @property
    def ids(self) -> list[str]:
        """Of the versions, the oldest first."""
        return [one.stored.version_id or "" for one in self.store.versions["bucket", AT.key]]

    async def record(self) -> Record:
        found = await self.journal.record(self.item.id)
        assert found is not None
        return found


async def later(world: Versions) -> None:
    """A check now sends a HEAD again."""
    clock = world.reconciler.clock
    assert isinstance(clock, ManualClock)
    await clock.advance(100.0)


async def test_the_version_becomes_current_and_checks_after_it_write_nothing() -> None:
    world = Versions()
    await world.made()
    before = await world.record()
    after = await world.restore()
    assert world.content == OLD
    assert after == await world.record()
    assert (after.revision, after.condition) == (before.revision, before.condition)
    assert after.revision is not None
    assert after.revision.restored == world.ids[0]
    assert after.object.size == len(OLD)
    assert [type(one) for one in world.events if isinstance(one, TransferStarted | TransferCompleted)] == [
        TransferStarted,
        TransferCompleted,
    ]
    world.calls.calls.clear()
    for _ in range(2):
        assert (await world.check()).copied is None
    assert world.content == OLD
    assert await world.record() == after
    history = await world.journal.history(world.item.id)
    assert [one.object.size for one in history.objects] == [len(NEW), len(OLD)]


async def test_a_new_source_revision_replaces_it() -> None:
    world = Versions()
    await world.made()
    await world.restore()
    world.origin.content, world.origin.etag = b"the third", '"3"'
    await world.check()
    assert world.content == b"the third"
    record = await world.record()
    assert record.revision is not None
    assert record.revision.restored is None


async def test_headers_metadata_and_tags_are_those_of_the_version() -> None:
    world = Versions()
    options = ObjectOptions(cache_control="max-age=1", metadata={"team": "x"}, tags={"tier": "hot"})
    await world.made(OLD, object=options)
    world.origin.content, world.origin.etag = NEW, '"2"'
    await world.check(object=ObjectOptions(metadata={"team": "y"}))
    await world.restore()
    kept = world.store.buckets["bucket"][AT.key]
    assert (kept.options.cache_control, kept.options.tags) == ("max-age=1", {"tier": "hot"})
    assert kept.stored.metadata["team"] == "x"
    record = await world.record()
    assert kept.stored.metadata[META_TRANSFER] == record.object.transfer_id
    assert kept.stored.metadata[META_VALIDATOR].endswith('"2"')


async def test_a_lost_journal_keeps_the_restored_object() -> None:
    world = Versions()
    await world.made()
    await world.restore()
    world.journal._records.clear()
    assert (await world.check()).adopted
    assert world.content == OLD


async def test_it_is_restored_once() -> None:
    world = Versions()
    await world.made()
    await world.restore()
    count = len(world.ids)
    await world.restore(world.ids[0])
    assert len(world.ids) == count


async def test_a_large_version_is_copied_in_parts() -> None:
    world = Versions()
    world.calls._provider = replace(world.store.provider, max_put=5 * MiB)
    await world.made(b"a" * 11 * MiB, NEW)
    await world.restore()
    assert world.content == b"a" * 11 * MiB
    assert await world.unfinished() == 0


async def test_a_deleted_object_is_restored_below_its_marker() -> None:
    world = Versions()
    await world.made()
    await world.store.delete_object(AT)
    with pytest.raises(RestoreRefused, match="is a delete marker of s3://bucket/"):
        await world.restore(world.ids[-1])
    await world.restore()
    assert world.content == OLD


@pytest.mark.parametrize(
    ("versioned", "why"), [(True, "has no version nope"), (False, "keeps no versions, so there is nothing to restore")]
)
async def test_an_unknown_version_writes_nothing(versioned: bool, why: str) -> None:
    world = Versions()
    await world.made()
    if not versioned:
        world.store.versioned.clear()
    with pytest.raises(RestoreRefused, match=why):
        await world.restore("nope")
    assert world.content == NEW
    assert await world.unfinished() == 0


async def test_items_without_a_source_revision_are_refused() -> None:
    world = Versions()
    with pytest.raises(RestoreRefused, match="not in the manifests"):
        await world.restore("v")
    await world.made()
    await world.journal.retire([world.item.id], 1.0)
    with pytest.raises(RestoreRefused, match="not in the manifests"):
        await world.restore()


async def test_an_archived_version_is_refused() -> None:
    world = Versions()
    await world.made(OLD, object=ObjectOptions(storage_class="GLACIER"))
    world.origin.content, world.origin.etag = NEW, '"2"'
    await world.check()
    with pytest.raises(RestoreRefused, match="is archived"):
        await world.restore()


async def test_a_suspended_item_is_restored_and_stays_suspended() -> None:
    world = Versions()
    await world.made()
    await world.check(suspend=True)
    assert (await world.restore()).condition.state is State.SUSPENDED
    assert world.content == OLD


@pytest.mark.parametrize("lost", ["answer", "everything"])
async def test_after_a_kill_the_next_check_resolves_it(lost: str) -> None:
    world = Versions()
    await world.made()
    before = await world.record()
    saved = world.journal.finish

    async def killed(*_: object) -> None:
        raise JournalUnavailable("killed")

    world.journal.finish = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(JournalUnavailable):
        await world.restore()
    world.journal.finish = saved  # type: ignore[method-assign]
    if lost == "everything":  # it was killed before CopyObject
        world.store.buckets["bucket"][AT.key] = world.store.versions["bucket", AT.key][1]
    assert await world.journal.record(world.item.id) == before
    assert (await world.check()).copied is None
    record = await world.record()
    assert record.revision is not None
    assert record.revision.restored == (world.ids[0] if lost == "answer" else None)
    assert world.content == (OLD if lost == "answer" else NEW)
    assert await world.unfinished() == 0
    await world.restore(world.ids[0])
    assert world.content == OLD


@pytest.mark.parametrize("former", [None, ONE])
@pytest.mark.parametrize("killed", [False, True])
async def test_a_version_with_a_former_key_gets_the_present_one(former: str | None, killed: bool) -> None:
    world = Versions()
    for key in (former, TWO):
        world.item = replace(world.item, destination=AT.keyed(key))
        await world.made(OLD if key == former else NEW, object=ObjectOptions(customer_key=key))
        world.origin.etag = '"changed"'
    if killed:
        saved = world.journal.finish

        async def no_answer(*_: object) -> None:
            raise JournalUnavailable("killed")

        world.journal.finish = no_answer  # type: ignore[method-assign,assignment]
        with pytest.raises(JournalUnavailable):
            await world.restore()
        world.journal.finish = saved  # type: ignore[method-assign]
        world.origin.etag = '"0"'
        assert (await world.check(object=ObjectOptions(customer_key=TWO))).state is State.SYNCED
    else:
        await world.restore()
    kept = world.store.buckets["bucket"][AT.key]
    assert (kept.content, kept.customer_key, await world.unfinished()) == (OLD, TWO, 0)
    record = await world.record()
    assert record.revision is not None
    assert record.revision.restored == world.ids[0]


async def test_an_unknown_outcome_is_left_to_the_next_check() -> None:
    world = Versions()
    await world.made()
    copying = world.store.copy_object

    async def lost(*given: object, **named: object) -> None:
        raise OutcomeUnknown("no answer")

    world.store.copy_object = lost  # type: ignore[method-assign,assignment]
    with pytest.raises(Exception, match="no answer"):
        await world.restore()
    assert any(isinstance(one, TransferFailed) for one in world.events)
    world.store.copy_object = copying  # type: ignore[method-assign]
    assert (await world.check()).state is State.SYNCED
    assert world.content == NEW
    assert await world.unfinished() == 0


@pytest.mark.parametrize("drift", ["deleted", "replaced"])
async def test_a_restored_object_that_drifts_is_never_repaired_with_the_source(drift: str) -> None:
    world = Versions()
    await world.made()
    await world.restore()
    await world.store.delete_object(AT)
    if drift == "replaced":
        await world.store.put_object(AT, memoryview(b"of another program"), ObjectOptions())
    for _ in range(2):
        await later(world)
        outcome = await world.check()
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.DRIFTED)
        assert outcome.message.startswith(f"the object was {drift} after version {world.ids[0]} was restored")
    assert (await world.restore()).condition.state is State.SYNCED
    assert world.content == OLD
    await world.store.delete_object(AT)
    world.origin.content, world.origin.etag = b"the third", '"3"'
    await later(world)
    assert (await world.check()).state is State.SYNCED
    assert world.content == b"the third"


async def test_edited_options_rewrite_the_restored_object_and_it_stays_restored() -> None:
    world = Versions()
    await world.made()
    await world.restore()
    edited = ObjectOptions(cache_control="no-store")
    await world.check(object=edited)
    record = await world.record()
    assert (world.content, record.restored) == (OLD, world.ids[0])
    assert world.store.buckets["bucket"][AT.key].options.cache_control == "no-store"
    await later(world)
    assert (await world.check(object=edited)).copied is None


async def test_a_refused_rewrite_does_not_send_the_source() -> None:
    world = Versions()
    await world.made()
    after = await world.restore()

    async def refused(*_: object, **__: object) -> None:
        raise StoreRefused("NotImplemented", answered=True)

    world.store.copy_object = refused  # type: ignore[method-assign,assignment]
    outcome = await world.check(object=ObjectOptions(cache_control="no-store"))
    assert (outcome.state, world.content) == (State.BLOCKED, OLD)
    assert ((await world.record()).restored, (await world.record()).object) == (world.ids[0], after.object)
    assert await world.unfinished() == 0


async def test_an_unproven_restore_after_a_kill_is_no_copy_of_the_source() -> None:
    """The version is gone, so the copy can be compared with nothing."""
    world = Versions()
    await world.made()
    await world.restore()
    saved = world.journal.finish

    async def killed(*_: object) -> None:
        raise JournalUnavailable("killed")

    world.journal.finish = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(JournalUnavailable):
        await world.restore(world.ids[1])
    world.journal.finish = saved  # type: ignore[method-assign]
    del world.store.versions["bucket", AT.key][1]
    outcome = await world.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.DRIFTED)
    assert await world.unfinished() == 0


async def test_a_readback_or_a_listed_size_does_not_replace_a_restored_object() -> None:
    world = Versions()
    world.item = replace(world.item, declared=DeclaredBytes(size=len(NEW)))
    world.origin.content, world.origin.etag = NEW, '"1"'
    await world.check(readback=True)
    await world.store.put_object(AT, memoryview(OLD), ObjectOptions())
    await world.check(readback=True)
    assert world.content == NEW
    await world.restore(world.ids[1])
    for _ in range(2):
        await later(world)
        assert (await world.check(readback=True)).copied is None
    assert world.content == OLD


async def test_a_restored_object_is_locked_as_the_options_say() -> None:
    world = Versions()
    options = ObjectOptions(lock_mode="GOVERNANCE", retain=60.0)
    await world.made(OLD, NEW, object=options)
    await world.restore()
    kept = world.store.buckets["bucket"][AT.key].options
    assert (kept.lock_mode, kept.retain) == ("GOVERNANCE", 60.0)


@pytest.mark.parametrize(("overwrite", "refused"), [("always", False), ("owned", True), ("never", True)])
@pytest.mark.parametrize("parts", [False, True])
async def test_an_object_of_another_program_is_not_covered_against_the_entry(
    overwrite: str, refused: bool, parts: bool
) -> None:
    """Also one that is written directly before the copy, or while its parts are copied."""
    world = Versions()
    if parts:
        world.calls._provider = replace(world.store.provider, max_put=5 * MiB)
    await world.made(b"a" * 6 * MiB, NEW)
    first = "copy_part" if parts else "inspect_object"
    made = getattr(world.store, first)

    async def meanwhile(*given: object, **named: object) -> object:
        found = await made(*given, **named)
        await world.store.put_object(AT, memoryview(b"of another program"), ObjectOptions())
        return found

    setattr(world.store, first, meanwhile)
    world.item = replace(world.item, options=make_options(overwrite=Overwrite(overwrite)))
    before = await world.record()
    if refused:
        with pytest.raises(RestoreRefused, match=f"by another program, and overwrite is {overwrite}: delete"):
            await world.restore()
        assert (world.content, await world.record()) == (b"of another program", before)
        setattr(world.store, first, made)
        await world.store.delete_object(AT)
        assert await world.unfinished() == 0
    await world.restore()
    assert world.content == b"a" * 6 * MiB


async def test_the_recorded_object_and_one_of_ours_are_covered() -> None:
    for overwrite in Overwrite:
        world = Versions()
        await world.made()
        if overwrite is Overwrite.OWNED:
            ours = ObjectOptions(metadata={META_TRANSFER: "of another journal"})
            await world.store.put_object(AT, memoryview(b"ours"), ours)
        world.item = replace(world.item, options=make_options(overwrite=overwrite))
        await world.restore()
        assert world.content == OLD


class ShowsNothing(Calls):
    """Once `hides`, it shows no checksum of a copy, and another ETag than that of the original; `damages`: it copies
    other bytes."""

    hides = damages = False

    def _hidden(self, at: Destination, stored: StoredObject) -> StoredObject:
        if not self.hides:
            return stored
        kept = self.buckets[at.bucket][at.key]
        content = b"!" + kept.content[1:] if self.damages else kept.content
        stored = replace(stored, etag=f'"{len(self.calls)}"', checksum=None, composite=None)
        made = MemoryObject(content, stored, kept.options)
        self.buckets[at.bucket][at.key] = self.versions[at.bucket, at.key][-1] = made
        return stored

    async def copy_object(self, source: Any, at: Destination, *given: Any, **more: Any) -> StoredObject:
        return self._hidden(at, await super().copy_object(source, at, *given, **more))

    async def complete_upload(self, at: Destination, *given: Any, **more: Any) -> StoredObject:
        return self._hidden(at, await super().complete_upload(at, *given, **more))

    async def inspect_object(self, *given: Any, **more: Any) -> ObjectDetails | None:
        details = await super().inspect_object(*given, **more)
        if details is None or not self.hides:
            return details
        return replace(details, stored=replace(details.stored, checksum=None, composite=None), parts=None)


@pytest.mark.parametrize("size", [5, 6 * MiB])
@pytest.mark.parametrize("damages", [False, True])
async def test_a_copy_of_which_the_store_shows_nothing_is_compared_by_its_bytes(size: int, damages: bool) -> None:
    store = ShowsNothing(max_put=5 * MiB)
    world, old = Versions(store), b"a" * size
    await world.made(old, NEW)
    store.hides, store.damages = True, damages
    if damages:
        with pytest.raises(ReadbackMismatch):
            await world.restore()
        assert (await world.record()).revision == Revision(address=(await world.record()).revision.address)
        store.hides = False
        await world.check()
        assert world.content == NEW
        return
    record = await world.restore()
    assert (world.content, record.object.integrity, record.restored) == (old, Integrity.READBACK, world.ids[0])
    assert store.calls.count("get") == 2
    store.calls.clear()
    await later(world)
    assert (await world.check()).copied is None
    assert (world.content, store.calls.count("get")) == (old, 0)
