"""One attempt whose source changes while it is read: when it begins again, and when the journal must not let it."""

from mirrord.errors import SourceChanged, StoreUnavailable
from mirrord.model import Observed, Revision, State, UploadOptions
from mirrord.units import MiB
from tests.unit.reconcile.test_reconciler import AT, Origin, World

IN_PARTS = UploadOptions(part_size=5 * MiB, multipart_threshold=5 * MiB)


class Changing(Origin):
    """A pinned source whose bytes change once, after the first part."""

    changes = 1

    async def probe(self, known: Revision | None = None) -> Observed | None:
        observed = await super().probe(known)
        return observed and Observed(revision=observed.revision, ranges=True)

    async def readinto(self, view: memoryview) -> int:
        if self._at >= 5 * MiB and self.changes:
            self.changes -= 1
            raise SourceChanged("another revision")
        return await super().readinto(view)


def changing() -> World:
    return World(origin=Changing(content=bytes(11 * MiB)))


async def test_a_source_that_changed_is_read_again_at_once() -> None:
    world = changing()
    assert (await world.look(upload=IN_PARTS)).state is State.SYNCED
    assert world.origin.opened > 1
    assert world.store.uploads == {}
    assert await world.journal.open_of(AT.item_id) == []


async def test_an_upload_whose_abort_failed_stays_in_the_journal_with_its_id() -> None:
    """A second begin would replace the row: nobody could find the upload again."""
    world = changing()

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("503", retry_after=9.0)

    world.store.abort_upload = unavailable  # type: ignore[method-assign]
    assert (await world.look(upload=IN_PARTS)).state is State.RETRYING
    (left,) = await world.journal.open_of(AT.item_id)
    assert [left.progress.upload_id] == list(world.store.uploads)
