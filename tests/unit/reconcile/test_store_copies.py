"""Sources that are objects: copied by their store, or read and sent."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import MirrordError, Reason, StoreDenied, StoreRefused
from mirrord.events import TransferCompleted, TransferFailed, TransferStarted
from mirrord.model import (
    META_TRANSFER,
    Checksum,
    ChecksumKind,
    DeclaredSum,
    Destination,
    Drift,
    Integrity,
    Item,
    ObjectOptions,
    Overwrite,
    Part,
    S3Object,
    SourceRequirements,
    State,
    StoredObject,
    TransferKind,
    UploadOptions,
)
from mirrord.reconcile.transfers import Transfers
from mirrord.sources.stored.source import StoredSource
from mirrord.testing import MemoryStore
from mirrord.units import MiB
from tests.support.called_store import Calls
from tests.support.item_world import AT, World

SOURCE = Destination("default", "http://store", "source", "dir/it.txt")
CONTENT = b"content"
PIECES = (b"a" * 5 * MiB, b"b" * 5 * MiB, b"c")
KEPT = ObjectOptions(content_type="text/x", cache_control="max-age=1", metadata={"a": "b"}, tags={"t": "1"})


class Copies(World):
    """A world whose item is an object of a store."""

    def __init__(self, store: Calls, source: Destination = SOURCE) -> None:
        super().__init__(store=store, tries=2)
        self.calls = store
        self.item = replace(self.item, origin=S3Object(source))

        async def store_at(_: Destination) -> MemoryStore:
            return store

        def source_of(item: Item) -> StoredSource:
            assert isinstance(item.origin, S3Object)
            return StoredSource(item.origin, store_at)

        object.__setattr__(self.reconciler, "source_of", source_of)

    async def put(self, content: bytes = CONTENT, options: ObjectOptions = KEPT) -> None:
        await MemoryStore.put_object(self.store, SOURCE, memoryview(content), options)

    async def upload(self) -> None:
        upload_id = await self.store.create_upload(SOURCE, KEPT)
        parts = [
            await MemoryStore.upload_part(self.store, SOURCE, upload_id, number, memoryview(one))
            for number, one in enumerate(PIECES, 1)
        ]
        await MemoryStore.complete_upload(self.store, SOURCE, upload_id, parts)

    @property
    def completing(self) -> str:
        """The id of the transfer that runs."""
        (found,) = (event for event in self.events if isinstance(event, TransferStarted))
        return found.transfer_id

    @property
    def completed(self) -> TransferCompleted:
        (found,) = (event for event in self.events if isinstance(event, TransferCompleted))
        return found


async def test_an_object_of_the_same_store_is_copied_by_it_with_its_options() -> None:
    world = Copies(Calls())
    await world.put()
    assert (await world.check()).state is State.SYNCED
    assert (world.content, world.calls.calls) == (CONTENT, ["copy"])
    options = world.store.buckets["bucket"][AT.key].options
    assert (options.content_type, options.cache_control, options.tags) == ("text/x", "max-age=1", {"t": "1"})
    assert options.metadata["a"] == "b"
    assert META_TRANSFER in options.metadata
    copied = world.completed.copied
    assert (copied.reused, copied.integrity, copied.kind) == (True, Integrity.MD5, TransferKind.PUT)
    assert await world.unfinished() == 0

    world.calls.calls.clear()
    assert (await world.check()).copied is None
    assert world.calls.calls == []


async def test_options_of_the_entry_replace_those_of_the_source() -> None:
    world = Copies(Calls())
    await world.put()
    own = ObjectOptions(content_type="text/y", metadata={"a": "c"}, tags={"u": "2"})
    await world.check(object=own)
    options = world.store.buckets["bucket"][AT.key].options
    assert (options.content_type, options.metadata["a"], options.tags) == ("text/y", "c", {"u": "2"})
    assert options.cache_control == "max-age=1"


async def test_equal_checksums_prove_a_copy() -> None:
    world = Copies(Calls())
    await world.put()
    kept = world.store.buckets["source"][SOURCE.key]
    crc = Checksum(ChecksumKind.CRC64NVME, "rl9obk5FBAo=")
    world.store.buckets["source"][SOURCE.key] = replace(kept, stored=replace(kept.stored, checksum=crc))
    world.calls.lies = {"etag": '"other"', "checksum": crc}
    await world.check()
    assert world.completed.copied.integrity is Integrity.FULL_OBJECT


@pytest.mark.parametrize("source", [replace(SOURCE, store="other", endpoint="http://other"), SOURCE])
async def test_bytes_are_sent_to_another_store_and_where_a_digest_is_declared(source: Destination) -> None:
    world = Copies(Calls(), source)
    await world.put()
    declared = DeclaredSum(sha256="ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73")
    options = {"requires": SourceRequirements(checksum=declared)} if source is SOURCE else {}
    assert (await world.check(**options)).state is State.SYNCED
    assert world.calls.calls == ["get", "put"]
    assert world.store.buckets["bucket"][AT.key].options.tags == {"t": "1"}


async def test_an_object_of_parts_is_copied_in_the_same_parts() -> None:
    world = Copies(Calls())
    await world.upload()
    assert (await world.check()).state is State.SYNCED
    assert sorted(world.calls.calls) == ["copy 1", "copy 2", "copy 3"]
    assert world.content == b"".join(PIECES)
    assert world.completed.copied.integrity is Integrity.MD5
    assert world.store.buckets["bucket"][AT.key].options.tags == {"t": "1"}


async def test_an_object_over_the_largest_put_is_copied_in_parts() -> None:
    world = Copies(Calls(max_put=6 * MiB, max_part=5 * MiB))
    await world.put(b"".join(PIECES))
    kept = world.store.buckets["source"][SOURCE.key]
    crc = Checksum(ChecksumKind.CRC64NVME, "X")
    world.store.buckets["source"][SOURCE.key] = replace(kept, stored=replace(kept.stored, checksum=crc))
    world.calls.lies = {"checksum": crc}
    await world.check()
    assert sorted(world.calls.calls) == ["copy 1", "copy 2", "copy 3"]
    assert world.completed.copied.integrity is Integrity.FULL_OBJECT


@pytest.mark.parametrize("refusal", [StoreRefused("501 NotImplemented"), StoreDenied("403")])
async def test_the_bytes_are_sent_if_the_store_refuses_to_copy(refusal: MirrordError) -> None:
    world = Copies(Calls())
    await world.put()
    world.calls.fails["copy"] = [refusal]
    assert (await world.check()).state is State.SYNCED
    assert (world.content, world.calls.calls) == (CONTENT, ["copy", "get", "put"])
    assert world.event_types() == [TransferStarted, TransferCompleted]
    assert await world.unfinished() == 0


async def test_a_copy_that_the_store_does_not_prove_is_sent_and_no_other_is_tried() -> None:
    world = Copies(Calls())
    await world.put()
    world.calls.lies = {"etag": '"random"'}
    assert (await world.check()).state is State.SYNCED
    assert world.calls.calls == ["copy", "get", "put"]
    assert world.event_types() == [TransferStarted, TransferFailed, TransferStarted, TransferCompleted]
    assert world.completed.copied.integrity is Integrity.FULL_OBJECT
    assert await world.unfinished() == 0

    world.calls.calls.clear()
    await world.put(b"changed")
    assert (await world.check()).state is State.SYNCED
    assert world.calls.calls == ["get", "put"]


async def test_a_source_that_was_replaced_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Copies(Calls())
    await world.put()
    copy = MemoryStore.copy_object

    async def replaced(store: MemoryStore, *given: Any, **more: Any) -> StoredObject:
        monkeypatch.undo()
        await world.put(b"another")
        return await copy(store, *given, **more)

    monkeypatch.setattr(MemoryStore, "copy_object", replaced)
    outcome = await world.check()
    assert (outcome.state, outcome.reason, world.content) == (State.RETRYING, Reason.SOURCE_CHANGED, None)
    assert await world.unfinished() == 0
    assert (await world.check(failures=1)).state is State.SYNCED
    assert world.content == b"another"


async def test_a_store_that_ignores_conditions_makes_no_object_of_two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Copies(Calls())
    await world.upload()
    copy = MemoryStore.copy_part

    async def careless(
        store: MemoryStore, source: Any, at: Any, upload_id: str, number: int, *given: Any, **_: Any
    ) -> Part:
        if number == 2:
            await world.put(b"z" * 11 * MiB)
        etag = store.buckets["source"][SOURCE.key].stored.etag
        return await copy(store, source, at, upload_id, number, *given, if_match=etag)

    monkeypatch.setattr(MemoryStore, "copy_part", careless)
    outcome = await world.check()
    assert (outcome.state, outcome.reason, world.content) == (State.RETRYING, Reason.SOURCE_CHANGED, None)
    assert (world.store.uploads, await world.unfinished()) == ({}, 0)
    assert (await world.check(failures=1)).state is State.SYNCED
    assert world.content == b"z" * 11 * MiB


async def interrupt(world: Copies) -> None:
    """Cancel a copy whose third part is not copied yet. The answers about parts have no checksums."""
    interrupted = asyncio.Event()

    async def hangs(source: Any, at: Any, upload_id: str, number: int, *given: Any, **more: Any) -> Part:
        if number == 3:
            while len(await world.journal.parts(world.completing)) < 2:  # noqa: ASYNC110 - steps of the loop only
                await asyncio.sleep(0)
            interrupted.set()
            await asyncio.Event().wait()
        part = await Calls.copy_part(world.calls, source, at, upload_id, number, *given, **more)
        return replace(part, checksum=None)

    object.__setattr__(world.store, "copy_part", hangs)
    check = asyncio.create_task(world.check())
    await interrupted.wait()
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    object.__delattr__(world.store, "copy_part")
    assert await world.unfinished() == 1
    world.calls.calls.clear()


async def test_parts_that_were_copied_are_not_copied_again() -> None:
    world = Copies(Calls(checksum=ChecksumKind.MD5))
    await world.upload()
    await interrupt(world)
    assert (await world.check(failures=1)).state is State.SYNCED
    assert world.calls.calls == ["copy 3"]
    assert (world.content, world.store.uploads) == (b"".join(PIECES), {})


async def test_parts_that_were_copied_are_of_no_use_where_the_bytes_are_sent() -> None:
    """They have no checksums, so that nothing could prove the object."""
    world = Copies(Calls())
    await world.upload()
    await interrupt(world)
    assert isinstance(world.reconciler.transfers, Transfers)
    world.reconciler.transfers.etags.observe_unproven_copy(AT, TransferKind.MULTIPART)
    options = UploadOptions(multipart_threshold=5 * MiB, part_size=5 * MiB)
    assert (await world.check(failures=1, upload=options)).state is State.SYNCED
    assert world.calls.calls.count("part") == 3
    assert (world.content, world.store.uploads) == (b"".join(PIECES), {})


@pytest.mark.parametrize("name", ["copy_object", "create_upload"])
async def test_no_checksum_is_asked_of_a_store_that_verifies_md5_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Copies(Calls(checksum=ChecksumKind.MD5))
    await (world.put() if name == "copy_object" else world.upload())
    kinds: list[ChecksumKind] = []
    call = getattr(MemoryStore, name)

    async def seen(store: MemoryStore, *given: Any, **more: Any) -> Any:
        kinds.append(given[-1])
        return await call(store, *given, **more)

    monkeypatch.setattr(MemoryStore, name, seen)
    assert (await world.check()).state is State.SYNCED
    assert (kinds, "get" in world.calls.calls) == ([ChecksumKind.MD5], False)
    assert world.completed.copied.integrity is Integrity.MD5


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("call", ["copy_object", "complete_upload"])
async def test_a_copy_that_was_made_before_a_kill_is_known_by_the_etag_of_its_source(call: str) -> None:
    """At a store that shows no checksums. An unknown object would be drift."""
    world = Copies(Calls())
    world.calls.lies = {"checksum": None}
    await world.put(b"before")
    await world.check()
    await (world.put() if call == "copy_object" else world.upload())

    async def without_checksum(*given: Any, **more: Any) -> Part:
        return replace(await Calls.copy_part(world.calls, *given, **more), checksum=None)

    async def killed(*given: Any, **more: Any) -> StoredObject:
        await getattr(Calls, call)(world.calls, *given, **more)
        raise Killed

    object.__setattr__(world.store, "copy_part", without_checksum)
    object.__setattr__(world.store, call, killed)
    with pytest.raises(Killed):
        await world.check()
    object.__delattr__(world.store, call)
    assert await world.unfinished() == 1
    world.calls.calls.clear()
    outcome = await world.check(drift=Drift.REPORT)
    assert (outcome.state, world.calls.calls) == (State.SYNCED, [])
    record = await world.journal.record(world.item.id)
    assert record is not None
    assert record.object.integrity is Integrity.MD5


@pytest.mark.parametrize("overwrite", [Overwrite.NEVER, Overwrite.OWNED])
async def test_what_protects_an_object_needs_a_condition_that_a_copy_lacks(overwrite: Overwrite) -> None:
    world = Copies(Calls())
    await world.put()
    assert (await world.check(overwrite=overwrite)).state is State.SYNCED
    assert world.calls.calls == ["get", "put"]


async def test_an_archived_source_is_blocked() -> None:
    world = Copies(Calls())
    await world.put(options=ObjectOptions(storage_class="DEEP_ARCHIVE"))
    outcome = await world.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.SOURCE_REFUSED)
    assert "archived (DEEP_ARCHIVE): restore it first" in outcome.message


async def test_a_missing_source_and_a_missing_bucket_are_told_apart() -> None:
    world = Copies(Calls())
    outcome = await world.check()
    assert (outcome.reason, outcome.message) == (
        Reason.SOURCE_MISSING,
        "s3://source/dir/it.txt: no object in the store 'default'",
    )
    del world.store.buckets["source"]
    assert "the bucket source does not exist" in (await world.check()).message
