"""One attempt whose source changes while it is read: when it begins again, and when the journal must not let it."""

from mirrord.errors import SourceChanged, StoreUnavailable
from mirrord.model import State, UploadOptions
from mirrord.testing import MemorySource
from mirrord.units import MiB
from tests.support.item_world import AT, World

IN_PARTS = UploadOptions(part_size=5 * MiB, multipart_threshold=5 * MiB)


def changing() -> World:
    """A world whose source is pinned and changes once, after the first part."""
    world, changes = World(origin=MemorySource(bytes(11 * MiB))), [SourceChanged("another revision")]

    async def change(at: int) -> None:
        if at >= 5 * MiB and changes:
            raise changes.pop()

    world.origin.hooks.on_read = change
    return world


async def test_a_source_that_changed_is_read_again_at_once() -> None:
    world = changing()
    assert (await world.check(upload=IN_PARTS)).state is State.SYNCED
    assert len(world.origin.log.opened) > 1
    assert world.store.uploads == {}
    assert await world.journal.open_of(AT.item_id) == []


async def test_an_upload_whose_abort_failed_stays_in_the_journal_with_its_id() -> None:
    """A second `begin` would replace the row that has the upload id, and no sweep could find the upload."""
    world = changing()

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("503", retry_after=9.0)

    world.store.abort_upload = unavailable  # type: ignore[method-assign]
    assert (await world.check(upload=IN_PARTS)).state is State.RETRYING
    (left,) = await world.journal.open_of(AT.item_id)
    assert [left.progress.upload_id] == list(world.store.uploads)
