"""A version of an object is made current: what is written, recorded and refused, and what later checks do with it."""

from dataclasses import replace

import pytest

from mirrord.errors import JournalUnavailable, OutcomeUnknown, RestoreRefused
from mirrord.events import TransferCompleted, TransferFailed, TransferStarted
from mirrord.model import META_TRANSFER, META_VALIDATOR, ObjectOptions, Record, State
from mirrord.reconcile.restore import Restoration
from mirrord.reconcile.transfers import Transfers
from mirrord.units import MiB
from tests.support.called_store import Calls
from tests.support.item_world import AT, World

OLD, NEW = b"the first version", b"the second version"


class Versions(World):
    """A world whose bucket keeps versions, and whose object has two."""

    def __init__(self) -> None:
        self.calls = Calls()
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
