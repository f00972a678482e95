"""Which copies count: stores that keep other bytes than they took, and what the journal then says."""

from dataclasses import replace

import pytest

from mirrord import checksums
from mirrord.errors import Reason
from mirrord.events import ItemChanged, ItemDrifted
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    Integrity,
    ProviderName,
    State,
    StoredObject,
    UploadOptions,
)
from mirrord.providers import profile
from mirrord.testing import MemoryStore
from mirrord.units import MiB
from tests.support.item_world import AT, World, careless
from tests.support.records import with_fields

PUT, PARTS, LARGE = b"some bytes", b"x" * (11 * MiB), b"x" * (17 * MiB)


@pytest.mark.parametrize("content", [PUT, PARTS], ids=["put", "parts"])
@pytest.mark.parametrize("kind", [ChecksumKind.MD5, ChecksumKind.CRC64NVME, ChecksumKind.SHA256])
async def test_what_a_store_did_not_confirm_is_read_back(content: bytes, kind: ChecksumKind) -> None:
    world = careless(ProviderName.GENERIC, kind)
    world.origin.content = content
    outcome = await world.check(upload=UploadOptions(part_size=5 * MiB))
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.READBACK
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert (record.condition.state, record.object.integrity) == (State.SYNCED, Integrity.READBACK)
    assert world.store.reads == 1  # type: ignore[attr-defined]


async def test_a_good_store_is_read_back_only_when_it_is_asked_for(world: World) -> None:
    outcome = await world.check()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.FULL_OBJECT
    again = await world.check(readback=True)
    assert again.copied is not None
    assert again.copied.integrity is Integrity.READBACK
    assert (await world.check(readback=True)).copied is None


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("content", [PUT, PARTS], ids=["put", "parts"])
async def test_other_bytes_do_not_count_and_are_written_again(content: bytes) -> None:
    world = careless(ProviderName.GENERIC, flips=1)
    world.origin.content = content
    outcome = await world.check()
    assert (outcome.state, outcome.reason, outcome.copied) == (State.RETRYING, Reason.CHECKSUM_MISMATCH, None)
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert (record.condition.state, record.object.integrity) == (State.RETRYING, None)
    assert await world.unfinished() == 0
    outcome = await world.check(1)
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.READBACK
    assert world.content == content


async def test_a_store_that_keeps_other_bytes_for_ever_is_never_synced() -> None:
    world = careless(ProviderName.GENERIC, flips=99)
    for failures in range(3):
        assert (await world.check(failures)).state is State.RETRYING


async def test_what_has_no_checksum_at_all_is_length_only_or_refused() -> None:
    world = careless(ProviderName.GENERIC, ChecksumKind.NONE)
    outcome = await world.check()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.LENGTH
    world = careless(ProviderName.GENERIC, ChecksumKind.NONE)
    outcome = await world.check(readback=True)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_REFUSED)
    assert "another than none" in outcome.message


async def test_the_md5_of_a_generic_store_counts_if_its_etag_shows_it() -> None:
    world = World(store=MemoryStore(profile(ProviderName.GENERIC)))
    outcome = await world.check()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.MD5
    assert outcome.copied.checksum == checksums.compute(ChecksumKind.MD5, memoryview(world.origin.content))


async def test_the_kept_object_is_ours(world: World) -> None:
    """The world above stands: what is read back is what the item's object holds."""
    await world.check(readback=True)
    assert world.store.buckets["bucket"][AT.key].content == world.origin.content


# ── a long read-back ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("asked", [False, True], ids=["not shown", "asked for"])
async def test_the_status_says_beforehand_what_is_read_back_for_long(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.reconcile.transfer_attempt.LONG_READBACK", len(PARTS) - 1)
    world = World() if asked else careless(ProviderName.AWS)
    world.origin.content = PARTS
    said: list[tuple[int, str]] = []
    get = world.store.get_object

    def read_back(at: Destination, start: int = 0, end: int | None = None):  # type: ignore[no-untyped-def]
        changes = [event for event in world.events if isinstance(event, ItemChanged)]
        said.extend((len(changes), event.message) for event in changes if event.state is State.TRANSFERRING)
        return get(at, start, end)

    monkeypatch.setattr(world.store, "get_object", read_back)
    outcome = await world.check(readback=asked, upload=UploadOptions(part_size=5 * MiB))
    assert outcome.state is State.SYNCED
    why = "verify: readback" if asked else "the store showed no checksum of it"
    assert said == [(1, f"11.0 MiB are stored and now read back: {why}")]


async def test_a_short_read_back_is_not_worth_a_word() -> None:
    world = careless(ProviderName.AWS)
    await world.check()
    assert not any(event.state is State.TRANSFERRING for event in world.events if isinstance(event, ItemChanged))


# ── what an answer does not say ───────────────────────────────────────────────────────────────────
class Mute(MemoryStore):
    """Answers writes without their checksums; HEAD shows them. `heads` counts those after the first write."""

    heads = 0

    async def put_object(self, *given, **more):  # type: ignore[no-untyped-def]
        return replace(await super().put_object(*given, **more), checksum=None)

    async def complete_upload(self, *given, **more):  # type: ignore[no-untyped-def]
        return replace(await super().complete_upload(*given, **more), checksum=None)

    async def head_object(self, at: Destination) -> StoredObject | None:
        standing = await super().head_object(at)
        self.heads += standing is not None
        return standing


@pytest.mark.parametrize("content", [PUT, LARGE], ids=["put", "parts"])
@pytest.mark.parametrize(
    ("kind", "level"), [(ChecksumKind.CRC64NVME, Integrity.FULL_OBJECT), (ChecksumKind.SHA256, Integrity.COMPOSITE)]
)
async def test_a_checksum_that_head_shows_counts(content: bytes, kind: ChecksumKind, level: Integrity) -> None:
    store = Mute(replace(profile(ProviderName.AWS), checksum=kind))
    world = World(store=store)
    world.origin.content = content
    outcome = await world.check(upload=UploadOptions(part_size=5 * MiB))
    assert outcome.copied is not None
    assert outcome.copied.integrity is (level if content is LARGE else Integrity.FULL_OBJECT)
    assert (outcome.copied.etag_from_head, store.heads) == (True, 1)


@pytest.mark.parametrize("provider", [ProviderName.AWS, ProviderName.MINIO, ProviderName.SEAWEEDFS])
async def test_a_profile_proves_nothing(provider: ProviderName) -> None:
    outcome = await careless(provider).check()
    assert outcome.copied is not None
    assert outcome.copied.integrity is Integrity.READBACK


# ── the ETag of the record ────────────────────────────────────────────────────────────────────────
class Renaming(MemoryStore):
    """Answers Complete with another ETag than HEAD shows; counts heads of what stands."""

    heads = 0

    async def complete_upload(self, *given, **more):  # type: ignore[no-untyped-def]
        return replace(await super().complete_upload(*given, **more), etag='"answered-3"')

    async def head_object(self, at: Destination) -> StoredObject | None:
        standing = await super().head_object(at)
        self.heads += standing is not None
        return standing


@pytest.mark.parametrize(("store", "heads"), [(Renaming, 3), (Mute, 3)])
async def test_the_record_has_the_etag_that_head_shows(store: type[MemoryStore], heads: int) -> None:
    world = World(store=store())
    world.origin.content = LARGE
    for etag in ('"1"', '"2"', '"3"'):
        world.origin.etag = etag
        assert (await world.check(upload=UploadOptions(part_size=5 * MiB))).copied is not None
        record = await world.journal.record(world.item.id)
        assert record is not None
        assert record.object.etag == world.store.buckets["bucket"][AT.key].stored.etag
        assert record.object.etag_from_head
    assert world.store.heads == heads + 2  # type: ignore[attr-defined]  # two checks before later copies
    assert (await world.check(upload=UploadOptions(part_size=5 * MiB))).copied is None


async def test_answers_that_were_seen_to_agree_are_followed_by_no_head() -> None:
    class Counting(MemoryStore):
        heads = 0

        async def head_object(self, at: Destination) -> StoredObject | None:
            self.heads += 1
            return await super().head_object(at)

    store = Counting()
    world = World(store=store)
    world.origin.content = LARGE
    for number, heads in (("1", 2), ("2", 3)):  # the check's own, and the first Complete's
        world.origin.etag = f'"{number}"'
        assert (await world.check(upload=UploadOptions(part_size=5 * MiB))).copied is not None
        assert store.heads == heads


async def test_an_old_journal_heals_once_and_then_sees_drift() -> None:
    world = World()
    await world.check()
    known = await world.journal.record(world.item.id)
    assert known is not None
    await world.journal.save(with_fields(known, etag='"of an answer-3"', etag_from_head=False))
    assert (await world.check()).copied is None
    healed = await world.journal.record(world.item.id)
    assert healed is not None
    assert (healed.object.etag, healed.object.etag_from_head) == (
        world.store.buckets["bucket"][AT.key].stored.etag,
        True,
    )
    assert not any(isinstance(event, ItemDrifted) for event in world.events)
    kept = world.store.buckets["bucket"][AT.key]
    world.store.buckets["bucket"][AT.key] = replace(kept, stored=replace(kept.stored, etag='"later"'))
    assert (await world.check()).copied is not None
    assert any(isinstance(event, ItemDrifted) for event in world.events)


async def test_an_object_of_another_checksum_does_not_heal_a_journal() -> None:
    world = World()
    await world.check()
    known = await world.journal.record(world.item.id)
    assert known is not None
    other = checksums.compute(ChecksumKind.CRC64NVME, memoryview(b"other"))
    await world.journal.save(with_fields(known, etag='"of an answer-3"', checksum=other, etag_from_head=False))
    assert (await world.check()).copied is not None


# ── a store that contradicts itself ───────────────────────────────────────────────────────────────
class Contradicting(MemoryStore):
    """Its HEADs show another checksum, or length, than was sent, for the first `writes` objects."""

    def __init__(self, wrong: dict[str, object], writes: int = 1) -> None:
        super().__init__(replace(profile(ProviderName.AWS)))
        self.wrong, self.left = wrong, writes

    def _keep(self, at, *given):  # type: ignore[no-untyped-def]
        answer = super()._keep(at, *given)
        if self.left:
            self.left -= 1
            kept = self.buckets[at.bucket][at.key]
            self.buckets[at.bucket][at.key] = replace(kept, stored=replace(kept.stored, **self.wrong))
        return replace(answer, checksum=None)


@pytest.mark.parametrize("content", [PUT, LARGE], ids=["put", "parts"])
@pytest.mark.parametrize("wrong", [{"checksum": Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")}, {"size": 1}])
async def test_what_head_contradicts_is_adopted_by_nobody_and_written_again(
    content: bytes, wrong: dict[str, object]
) -> None:
    world = World(store=Contradicting(wrong))
    world.origin.content = content
    outcome = await world.check(upload=UploadOptions(part_size=5 * MiB))
    assert outcome.copied is None
    assert outcome.state in (State.RETRYING, State.BLOCKED)
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert (record.condition.state, record.object.integrity) == (outcome.state, None)
    assert await world.unfinished() == 0
    outcome = await world.check(1, upload=UploadOptions(part_size=5 * MiB))
    assert outcome.copied is not None, "it is written, and not adopted by its own stamp"
    assert outcome.copied.integrity is Integrity.FULL_OBJECT
