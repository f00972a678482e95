"""Objects of other tools: what is read, what is recorded, and when they are compared again."""

import os
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path

import pytest

from mirrord.checksums import MultipartMD5, compute
from mirrord.errors import Reason
from mirrord.events import ItemUnchanged, TransferCompleted
from mirrord.model import (
    META_TRANSFER,
    META_VALIDATOR,
    Checksum,
    ChecksumKind,
    DeclaredBytes,
    DeclaredSum,
    File,
    ObjectOptions,
    Observed,
    Overwrite,
    Record,
    State,
    StoredObject,
)
from mirrord.sources.file import FileSource, file_source
from mirrord.testing import MemoryObject
from tests.support.item_world import AT, World

BODY = b"content of a file"
MD5 = f'"{md5(BODY).hexdigest()}"'


def crc(body: bytes = BODY, kind: ChecksumKind = ChecksumKind.CRC64NVME) -> Checksum:
    found = compute(kind, memoryview(body))
    assert found is not None
    return found


class Adopting(World):
    """The item's source is a real file; another tool wrote the object. `opened` counts the reads of the file."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.path = directory / "file"
        self.path.write_bytes(BODY)
        self.item = replace(self.item, origin=File(None, str(self.path)))
        self.opened = 0
        object.__setattr__(self.reconciler, "source_of", lambda item: self.source())

    def source(self) -> FileSource:
        source = file_source(File(None, str(self.path)))
        opening = source.open

        def counted(observed: Observed, start: int = 0, end: int | None = None):  # type: ignore[no-untyped-def]
            self.opened += 1
            return opening(observed, start, end)

        object.__setattr__(source, "open", counted)
        return source

    def stand(self, body: bytes = BODY, etag: str | None = None, **shown: object) -> StoredObject:
        """Another tool's object."""
        etag = f'"{md5(body).hexdigest()}"' if etag is None else etag
        stored = StoredObject(size=len(body), etag=etag, **shown)  # type: ignore[arg-type]
        self.store.buckets["bucket"][AT.key] = MemoryObject(body, stored, ObjectOptions())
        return stored

    async def record(self) -> Record:
        known = await self.journal.record(AT.item_id)
        assert known is not None
        return known


@pytest.fixture
def world(tmp_path: Path) -> Adopting:
    return Adopting(tmp_path)


def parted(part_size: int) -> str:
    running = MultipartMD5(part_size)
    running.update(memoryview(BODY))
    return f'"{running.etag()}"'


@pytest.mark.parametrize("checksum", [None, crc(), crc(kind=ChecksumKind.CRC32)])
@pytest.mark.parametrize("etag", [MD5, parted(9)])
async def test_equal_bytes_are_recorded_and_not_read_again(
    world: Adopting, etag: str, checksum: Checksum | None
) -> None:
    stored = world.stand(etag=etag, checksum=checksum)
    outcome = await world.check()
    assert (outcome.state, outcome.adopted, outcome.copied) == (State.SYNCED, True, None)
    assert world.event_types() == [ItemUnchanged]
    known = (await world.record()).object
    assert (known.etag, known.etag_from_head, known.size) == (stored.etag, True, len(BODY))
    assert known.transfer_id is None
    assert known.checksum == crc(), "what later comparisons need"
    assert world.opened == 1
    assert (await world.check()).adopted is False
    assert world.opened == 1
    assert world.store.buckets["bucket"][AT.key].stored == stored

    os.utime(world.path, (2_000_000_000, 2_000_000_000))  # touched: compared with what was recorded
    outcome = await world.check()
    assert (outcome.copied, world.opened) == (None, 2)
    assert world.event_types() == [ItemUnchanged]


async def test_unusual_part_sizes_need_a_second_pass(world: Adopting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.planning.decisions.adoption.LIKELY", 1)
    world.stand(etag=parted(10))
    assert (await world.check()).adopted
    assert world.opened == 2


@pytest.mark.parametrize(
    "shown", [{"etag": MD5, "checksum": crc(b"other bytes there")}, {"etag": parted(9)}, {"etag": '"opaque"'}]
)
async def test_other_bytes_are_copied_over(world: Adopting, shown: dict[str, object]) -> None:
    world.stand(**shown)  # type: ignore[arg-type]
    world.path.write_bytes(BODY.swapcase())
    outcome = await world.check()
    assert outcome.copied is not None
    assert world.content == BODY.swapcase()
    assert world.event_types()[-1] is TransferCompleted


async def test_an_object_of_ours_with_an_older_validator_is_adopted_with_its_id(world: Adopting) -> None:
    """The journal was lost after a touch."""
    world.stand(metadata={META_TRANSFER: "t0", META_VALIDATOR: "older"})
    assert (await world.check()).adopted
    assert (await world.record()).object.transfer_id == "t0"


@pytest.mark.parametrize("overwrite", [Overwrite.NEVER, Overwrite.OWNED])
async def test_a_conflict_is_not_read_again_until_something_changes(world: Adopting, overwrite: Overwrite) -> None:
    world.stand(BODY.upper())
    for _ in range(3):
        outcome = await world.check(overwrite=overwrite)
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert world.opened == 1
    world.stand(BODY)
    assert (await world.check(overwrite=overwrite)).adopted
    assert world.opened == 2


async def test_a_file_that_changes_while_it_is_read_is_not_adopted(
    world: Adopting, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stand()
    confirm = FileSource.confirm

    async def change(source: FileSource, observed: Observed) -> None:
        world.path.write_bytes(BODY.upper())
        os.utime(world.path, (2_000_000_000, 2_000_000_000))
        await confirm(source, observed)

    monkeypatch.setattr(FileSource, "confirm", change)
    assert (await world.check()).state is State.RETRYING
    monkeypatch.undo()
    await world.check()
    assert world.content == BODY.upper()


@pytest.mark.parametrize("right", [True, False])
async def test_what_is_declared_must_be_proven(world: Adopting, right: bool) -> None:
    world.stand()
    digest = sha256(BODY if right else b"x").hexdigest()
    outcome = await world.check(checksum=DeclaredSum(digest))
    assert outcome.adopted is right
    if right:
        assert (await world.check(checksum=DeclaredSum(digest))).copied is None
        revision = (await world.record()).revision
        assert revision is not None
        assert revision.digest == f"sha256:{digest}"
    else:
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CHECKSUM_MISMATCH)


async def test_a_source_over_max_size_is_refused_as_for_a_copy(world: Adopting) -> None:
    world.stand()
    outcome = await world.check(max_size=3)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.TOO_LARGE)
    assert world.opened == 0


async def test_an_object_that_replaced_ours_is_drift(world: Adopting) -> None:
    await world.check()
    world.stand(etag=parted(9))
    assert (await world.check()).copied is not None


# ── URLs ──────────────────────────────────────────────────────────────────────────────────────────
class Linked(World):
    """The item's source is a URL, and `BODY`."""

    def stand(self, checksum: Checksum | None = None) -> None:
        self.origin.content = BODY
        stored = StoredObject(size=len(BODY), etag=MD5, checksum=checksum)
        self.store.buckets["bucket"][AT.key] = MemoryObject(BODY, stored, ObjectOptions())


async def test_a_url_is_adopted_by_what_it_states_and_never_read() -> None:
    world = Linked()
    world.stand(checksum=crc())
    world.origin.states = [crc(kind=ChecksumKind.MD5)]
    assert (await world.check()).adopted
    assert world.origin.log.opened == []
    assert (await world.check()).copied is None
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert record.object.checksum == crc(kind=ChecksumKind.MD5)


async def test_a_row_with_both_digests_is_proven_by_its_md5() -> None:
    world = Linked()
    world.stand()
    world.item = replace(
        world.item, declared=DeclaredBytes(md5=md5(BODY).digest(), sha256=sha256(BODY).digest(), size=len(BODY))
    )
    assert (await world.check()).adopted
    assert (await world.check()).copied is None


async def test_a_declared_sha256_is_not_proven_by_an_md5_that_the_source_states() -> None:
    world = Linked()
    world.stand()
    world.origin.states = [crc(kind=ChecksumKind.MD5)]
    assert (await world.check(checksum=DeclaredSum(sha256(BODY).hexdigest()))).copied is not None
