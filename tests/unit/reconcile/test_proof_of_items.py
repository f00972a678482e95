"""Which copies count: stores that keep other bytes than they took, and what the journal then says."""

from dataclasses import replace

import pytest

from mirrord import checksums
from mirrord.errors import Reason
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    Integrity,
    ObjectOptions,
    ProviderName,
    State,
    StoredObject,
    UploadOptions,
)
from mirrord.providers import profile
from mirrord.testing import KeptObject, MemoryStore
from mirrord.units import MiB
from tests.unit.reconcile.test_reconciler import AT, World

PUT, PARTS = b"some bytes", b"x" * (11 * MiB)


class Careless(MemoryStore):
    """Ignores checksums, tells none, and its ETags mean nothing; flips the last byte of what it keeps `flips` times."""

    flips = 0
    reads = 0

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        stored = await super().put_object(at, body, options, None, if_none_match=if_none_match)
        return self._marred(at, stored)

    async def complete_upload(self, at, upload_id, parts, checksum=None, *, if_none_match=False):  # type: ignore[no-untyped-def]
        stored = await super().complete_upload(at, upload_id, parts, None, if_none_match=if_none_match)
        return self._marred(at, stored)

    async def upload_part(self, at, upload_id, number, body, checksum=None):  # type: ignore[no-untyped-def]
        return await super().upload_part(at, upload_id, number, body, None)

    def get_object(self, at: Destination, start: int = 0, end: int | None = None):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().get_object(at, start, end)

    def _marred(self, at: Destination, stored: StoredObject) -> StoredObject:
        kept = self.buckets[at.bucket][at.key]
        content = kept.content
        if self.flips:
            self.flips -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        random_etag = f'"{len(self.buckets)}-{id(stored)}"'
        stood = replace(kept.stored, etag=random_etag, checksum=None)
        self.buckets[at.bucket][at.key] = KeptObject(content, stood, kept.options)
        return replace(stored, etag=random_etag, checksum=None)


def careless(provider: ProviderName, kind: ChecksumKind | None = None, flips: int = 0) -> World:
    made = profile(provider)
    store = Careless(made if kind is None else replace(made, checksum=kind))
    store.flips = flips
    return World(store=store)


@pytest.mark.parametrize("content", [PUT, PARTS], ids=["put", "parts"])
@pytest.mark.parametrize("kind", [ChecksumKind.MD5, ChecksumKind.CRC64NVME, ChecksumKind.SHA256])
async def test_what_a_store_did_not_confirm_is_read_back(content: bytes, kind: ChecksumKind) -> None:
    world = careless(ProviderName.GENERIC, kind)
    world.origin.content = content
    outcome = await world.look(upload=UploadOptions(part_size=5 * MiB))
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.READBACK
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert (record.state, record.integrity) == (State.SYNCED, Integrity.READBACK)
    assert world.store.reads == 1  # type: ignore[attr-defined]


async def test_a_good_store_is_read_back_only_when_it_is_asked_for(world: World) -> None:
    outcome = await world.look()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.FULL_OBJECT
    again = await world.look(readback=True)
    assert again.copied is not None
    assert again.copied.integrity is Integrity.READBACK
    assert (await world.look(readback=True)).copied is None


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("content", [PUT, PARTS], ids=["put", "parts"])
async def test_other_bytes_do_not_count_and_are_written_again(content: bytes) -> None:
    world = careless(ProviderName.GENERIC, flips=1)
    world.origin.content = content
    outcome = await world.look()
    assert (outcome.state, outcome.reason, outcome.copied) == (State.RETRYING, Reason.CHECKSUM_MISMATCH, None)
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert (record.state, record.integrity) == (State.RETRYING, None)
    assert await world.unfinished() == 0
    outcome = await world.look(1)
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.READBACK
    assert world.content == content


async def test_a_store_that_keeps_other_bytes_for_ever_is_never_synced() -> None:
    world = careless(ProviderName.GENERIC, flips=99)
    for failures in range(3):
        assert (await world.look(failures)).state is State.RETRYING


async def test_what_has_no_checksum_at_all_is_length_only_or_refused() -> None:
    world = careless(ProviderName.GENERIC, ChecksumKind.NONE)
    outcome = await world.look()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.LENGTH
    world = careless(ProviderName.GENERIC, ChecksumKind.NONE)
    outcome = await world.look(readback=True)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_REFUSED)
    assert "another than none" in outcome.message


async def test_the_md5_of_a_generic_store_counts_if_its_etag_shows_it() -> None:
    world = World(store=MemoryStore(profile(ProviderName.GENERIC)))
    outcome = await world.look()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.MD5
    assert outcome.copied.checksum == checksums.compute(ChecksumKind.MD5, memoryview(world.origin.content))


async def test_the_kept_object_is_ours(world: World) -> None:
    """The world above stands: what is read back is what the item's object holds."""
    await world.look(readback=True)
    assert world.store.buckets["bucket"][AT.key].content == world.origin.content
