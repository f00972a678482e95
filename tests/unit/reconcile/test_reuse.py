"""Files that the store has under another name: what is copied by the store, what is sent all the same."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrord.errors import (
    BucketMissing,
    MirrordError,
    OutcomeUnknown,
    Reason,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.events import ItemRetrying, TransferCompleted, TransferStarted
from mirrord.model import (
    META_TRANSFER,
    META_VALIDATOR,
    Checksum,
    ChecksumKind,
    Destination,
    File,
    Integrity,
    Item,
    ObjectOptions,
    Observed,
    Outcome,
    Record,
    State,
    StoredObject,
    TransferKind,
)
from mirrord.planning.decisions.describe import validator
from mirrord.planning.decisions.listed import Verdict
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.observation import NoListings
from mirrord.sources.file import FileSource, file_source
from mirrord.testing import MemoryStore
from tests.support.item_world import World
from tests.support.options import make_options

CONTENT = b"content"


class Copies(MemoryStore):
    """Counts puts and copies; `fails` is raised by a copy, before it happens or (`late`) after it. `answers` replaces
    what a HEAD tells as the checksum."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = self.copies = self.reads = 0
        self.fails: MirrordError | None = None
        self.late = False
        self.answers: dict[str, Checksum | None] = {}

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        self.puts += 1
        return await super().put_object(*given, **more)

    async def copy_object(self, *given: Any, **more: Any) -> StoredObject:
        self.copies += 1
        if self.fails and not self.late:
            raise self.fails
        stored = await super().copy_object(*given, **more)
        if self.fails:
            raise self.fails
        return stored

    async def head_object(self, at: Destination) -> StoredObject | None:
        standing = await super().head_object(at)
        if standing is not None and at.key in self.answers:
            return replace(standing, checksum=self.answers[at.key])
        return standing

    def get_object(self, *given: Any) -> Any:
        self.reads += 1
        return super().get_object(*given)


class Folder(World):
    """Files of a directory, each an item under its own name."""

    def __init__(self, directory: Path) -> None:
        self.copies = Copies()
        super().__init__(store=self.copies)
        self.directory = directory
        (directory / "old").write_bytes(CONTENT)
        object.__setattr__(self.reconciler, "source_of", lambda item: file_source(item.origin))

    def named(self, name: str, **options: Any) -> Item:
        at = Destination("default", "http://store", "bucket", name)
        origin = File(None, str(self.directory / name))
        return Item(id=at.item_id, entry="e", origin=origin, destination=at, options=make_options(**options))

    async def sync(self, name: str, failures: int = 0, **options: Any) -> Outcome:
        self.events.clear()
        return await self.reconciler.reconcile(self.named(name, **options), failures)

    async def record(self, name: str) -> Record:
        known = await self.journal.record(self.named(name).id)
        assert known is not None
        return known

    def rename(self, new: str = "new") -> None:
        os.rename(self.directory / "old", self.directory / new)

    def answers_again(self) -> None:
        """The outage is over: nothing is held back."""
        object.__setattr__(self.reconciler, "breakers", Breakers())

    def content_of(self, name: str) -> bytes:
        return self.store.buckets["bucket"][name].content

    @property
    def asked(self) -> tuple[int, int]:
        """Puts and copies since `old` was put."""
        return self.copies.puts - 1, self.copies.copies


@pytest.fixture
async def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    await folder.sync("old", object=ObjectOptions(metadata={"of": "old"}, tags={"a": "b"}))
    return folder


async def test_a_renamed_file_is_copied_by_the_store(folder: Folder) -> None:
    folder.rename()
    outcome = await folder.sync("new", object=ObjectOptions(metadata={"of": "new"}))
    assert outcome.state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((0, 1), CONTENT)
    assert folder.event_types() == [TransferStarted, TransferCompleted]
    (completed,) = (event for event in folder.events if isinstance(event, TransferCompleted))
    assert (completed.kind, completed.copied.reused, completed.copied.size) == (TransferKind.PUT, True, len(CONTENT))
    kept, record = folder.store.buckets["bucket"]["new"], await folder.record("new")
    assert kept.options.metadata == {
        "of": "new",
        META_TRANSFER: record.object.transfer_id,
        META_VALIDATOR: validator(record.revision) if record.revision else None,
    }
    assert not kept.options.tags
    assert (record.object.etag, record.object.size, record.object.integrity) == (
        kept.stored.etag,
        len(CONTENT),
        Integrity.FULL_OBJECT,
    )
    assert record.object.checksum == (await folder.record("old")).object.checksum
    assert await folder.unfinished() == 0
    assert (await folder.sync("new", object=ObjectOptions(metadata={"of": "new"}))).copied is None


async def test_a_second_name_of_a_file_is_copied_too(folder: Folder) -> None:
    os.link(folder.directory / "old", folder.directory / "new")
    await folder.sync("new")
    assert (folder.asked, folder.content_of("new")) == ((0, 1), CONTENT)


async def test_a_file_renamed_over_another_replaces_its_object(folder: Folder) -> None:
    (folder.directory / "new").write_bytes(b"other file")
    await folder.sync("new")
    folder.rename()
    await folder.sync("new")
    assert (folder.asked, folder.content_of("new")) == ((1, 1), CONTENT)


async def test_other_bytes_behind_the_same_inode_size_and_mtime_are_sent(folder: Folder) -> None:
    """An inode used again, and an mtime set by tar; or a change whose mtime was set back."""
    before = os.stat(folder.directory / "old")
    folder.rename()
    (folder.directory / "new").write_bytes(CONTENT.upper())
    os.utime(folder.directory / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    await folder.sync("new")
    assert (folder.asked, folder.content_of("new")) == ((1, 0), CONTENT.upper())


async def test_an_object_that_a_stranger_replaced_is_not_copied(folder: Folder) -> None:
    await folder.store.put_object(folder.named("old").destination, memoryview(b"strange"), ObjectOptions())
    folder.rename()
    assert (await folder.sync("new")).state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((2, 1), CONTENT)
    assert folder.event_types() == [TransferStarted, TransferCompleted]
    assert await folder.unfinished() == 0


async def test_an_object_that_is_gone_is_sent(folder: Folder) -> None:
    await folder.store.delete_object(folder.named("old").destination)
    folder.rename()
    await folder.sync("new")
    assert (folder.asked, folder.content_of("new")) == ((1, 1), CONTENT)


@pytest.mark.parametrize(
    "refusal", [StoreRefused("NotImplemented"), StoreDenied("no reading"), BucketMissing("the old one's")]
)
async def test_what_the_store_will_not_copy_is_sent(folder: Folder, refusal: MirrordError) -> None:
    folder.copies.fails = refusal
    folder.rename()
    assert (await folder.sync("new")).state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((1, 1), CONTENT)
    assert folder.event_types() == [TransferStarted, TransferCompleted]
    assert await folder.unfinished() == 0


async def test_a_store_that_is_away_is_asked_later_and_then_for_a_put(folder: Folder) -> None:
    folder.copies.fails = StoreUnavailable("503", retry_after=1.0)
    folder.rename()
    outcome = await folder.sync("new")
    assert (outcome.state, outcome.reason) == (State.RETRYING, Reason.STORE_UNAVAILABLE)
    assert folder.event_types() == [ItemRetrying], "none was started"
    assert await folder.unfinished() == 0
    folder.answers_again()
    assert (await folder.sync("new", failures=1)).state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((1, 1), CONTENT)


async def test_a_copy_whose_answer_was_lost_is_found(folder: Folder) -> None:
    folder.copies.fails, folder.copies.late = OutcomeUnknown("lost"), True
    folder.rename()
    assert (await folder.sync("new")).state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((0, 1), CONTENT)


async def test_a_copy_that_nobody_can_tell_of_is_settled_by_the_next_check(folder: Folder) -> None:
    folder.rename()
    heads = 0
    head = folder.copies.head_object

    async def silent(at: Destination) -> StoredObject | None:
        nonlocal heads
        heads += 1
        if heads > 1:  # the first is the check's own
            raise StoreUnavailable("503", retry_after=1.0)
        return await head(at)

    folder.copies.head_object = silent  # type: ignore[method-assign]
    assert (await folder.sync("new")).state is State.RETRYING
    assert await folder.unfinished() == 1
    folder.copies.head_object = head  # type: ignore[method-assign]
    folder.answers_again()
    assert (await folder.sync("new", failures=1)).state is State.SYNCED
    assert (folder.asked, await folder.unfinished()) == ((0, 1), 0)
    record = await folder.record("new")
    assert (record.object.integrity, record.object.checksum) == (
        Integrity.FULL_OBJECT,
        (await folder.record("old")).object.checksum,
    )


async def test_a_copy_without_a_checksum_is_read_back(folder: Folder) -> None:
    folder.copies.answers["new"] = None
    folder.rename()
    assert (await folder.sync("new")).state is State.SYNCED
    assert (folder.asked, folder.copies.reads) == ((0, 1), 1)
    assert (await folder.record("new")).object.integrity is Integrity.READBACK


async def test_a_copy_that_is_other_bytes_does_not_count(folder: Folder) -> None:
    """It is remembered as of no revision, and written again."""
    folder.copies.answers["new"] = None
    real = folder.copies.get_object

    def other(at: Destination, *given: Any) -> Any:
        kept = folder.store.buckets["bucket"]
        kept[at.key] = replace(kept[at.key], content=CONTENT.upper())
        return real(at, *given)

    folder.copies.get_object = other  # type: ignore[method-assign]
    folder.rename()
    outcome = await folder.sync("new")
    assert (outcome.state, outcome.reason) == (State.RETRYING, Reason.CHECKSUM_MISMATCH)
    known = (await folder.record("new")).revision
    assert known is not None
    assert known.file is None
    folder.copies.answers.clear()
    assert (await folder.sync("new", failures=1)).state is State.SYNCED
    assert (folder.asked, folder.content_of("new")) == ((1, 1), CONTENT)


async def test_a_file_that_changes_while_it_is_read_is_checked_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename()
    path = folder.directory / "new"
    confirm = FileSource.confirm

    async def change(source: FileSource, observed: Observed) -> None:
        path.write_bytes(b"changed")
        await confirm(source, observed)

    monkeypatch.setattr(FileSource, "confirm", change)
    assert (await folder.sync("new")).reason is Reason.SOURCE_CHANGED
    assert folder.asked == (0, 0)
    monkeypatch.undo()
    await folder.sync("new", failures=1)
    assert folder.content_of("new") == b"changed"


async def test_an_object_is_not_deleted_while_it_is_copied(folder: Folder) -> None:
    """The folder says `delete: mirror`, and the file's old name is checked while the new one is read."""
    folder.rename()
    gone = replace(folder.named("old"), gone=True)
    copy, outcomes = folder.copies.copy_object, []

    async def meanwhile(*given: Any, **more: Any) -> StoredObject:
        outcomes.append(await folder.reconciler.reconcile(gone))
        return await copy(*given, **more)

    folder.copies.copy_object = meanwhile  # type: ignore[method-assign]
    await folder.sync("new")
    assert (folder.asked, [one.pruned for one in outcomes]) == ((0, 1), [False])
    assert (await folder.reconciler.reconcile(gone)).pruned
    assert set(folder.store.buckets["bucket"]) == {"new"}


# ── stores whose copies are none ──────────────────────────────────────────────────────────────────
FALSE = [Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA="), Checksum(ChecksumKind.CRC32, "AAAAAA==")]


@pytest.mark.parametrize("shown", FALSE, ids=lambda checksum: checksum.kind)
async def test_a_copy_that_shows_another_checksum_is_none_and_the_bytes_are_sent(
    folder: Folder, shown: Checksum
) -> None:
    """MinIO computes a false one where it compresses. The bytes are sent before the old name's object may go."""
    real = folder.copies.copy_object

    async def false(source: Destination, at: Destination, *given: Any, **more: Any) -> StoredObject:
        stored = await real(source, at, *given, **more)
        kept = folder.store.buckets["bucket"][at.key]
        folder.store.buckets["bucket"][at.key] = replace(kept, stored=replace(kept.stored, checksum=shown))
        return stored

    folder.copies.copy_object = false  # type: ignore[method-assign]
    folder.rename()
    outcome = await folder.sync("new")
    assert (outcome.state, folder.asked, folder.copies.reads) == (State.SYNCED, (1, 1), 0)
    kept, record = folder.store.buckets["bucket"]["new"], await folder.record("new")
    assert (kept.content, kept.stored.checksum) == (CONTENT, (await folder.record("old")).object.checksum)
    assert kept.stored.metadata[META_TRANSFER] == record.object.transfer_id
    assert record.object.integrity is Integrity.FULL_OBJECT
    assert await folder.unfinished() == 0
    assert (await folder.sync("new")).copied is None


async def test_a_copy_of_another_length_is_none(folder: Folder) -> None:
    head = folder.copies.head_object

    async def short(at: Destination) -> StoredObject | None:
        standing = await head(at)
        return replace(standing, size=1) if standing and folder.copies.puts == 1 and at.key == "new" else standing

    folder.copies.head_object = short  # type: ignore[method-assign]
    folder.rename()
    assert (await folder.sync("new")).state is State.SYNCED
    assert folder.asked == (1, 1)


async def test_a_false_copy_whose_bytes_could_not_be_sent_is_adopted_by_nobody(folder: Folder) -> None:
    folder.copies.answers["new"] = FALSE[0]
    put = folder.copies.put_object

    async def away(*_: Any, **__: Any) -> StoredObject:
        raise StoreUnavailable("503", retry_after=1.0)

    folder.copies.put_object = away  # type: ignore[method-assign]
    folder.rename()
    assert (await folder.sync("new")).state is State.RETRYING
    known = (await folder.record("new")).revision
    assert known is not None
    assert known.file is None
    folder.copies.answers.clear()
    folder.copies.put_object = put  # type: ignore[method-assign]
    folder.answers_again()
    assert (await folder.sync("new", failures=1)).state is State.SYNCED
    assert folder.asked == (1, 1)


async def test_a_false_copy_that_a_killed_process_left_is_sent_again(folder: Folder) -> None:
    folder.copies.fails, folder.copies.late = OutcomeUnknown("lost"), True
    head = folder.copies.head_object

    async def silent(at: Destination) -> StoredObject | None:
        if at.key in folder.store.buckets["bucket"]:
            raise StoreUnavailable("503", retry_after=1.0)
        return await head(at)

    folder.copies.head_object = silent  # type: ignore[method-assign]
    folder.rename()
    assert (await folder.sync("new")).state is State.RETRYING
    assert await folder.unfinished() == 1
    kept = folder.store.buckets["bucket"]["new"]
    folder.store.buckets["bucket"]["new"] = replace(kept, stored=replace(kept.stored, checksum=FALSE[0]))
    folder.copies.head_object, folder.copies.fails = head, None  # type: ignore[method-assign]
    folder.answers_again()
    assert (await folder.sync("new", failures=1)).state is State.SYNCED
    assert folder.asked == (1, 1)
    assert folder.store.buckets["bucket"]["new"].stored.checksum != FALSE[0]


class UnlistedKeys(NoListings):
    """A listing lacks every key."""

    async def verdict(self, item: Item, record: Record | None) -> Verdict:
        return Verdict.ABSENT


@pytest.mark.parametrize("appeared", [True, False])
async def test_a_copy_has_no_condition_so_a_key_that_only_a_listing_lacks_gets_a_head(
    folder: Folder, appeared: bool
) -> None:
    object.__setattr__(folder.reconciler, "listings", UnlistedKeys())
    folder.rename()
    observed = await file_source(File(None, str(folder.directory / "new"))).probe()
    assert observed is not None
    if appeared:
        ours = {META_VALIDATOR: str(validator(observed.revision))}
        at = folder.named("new").destination
        await MemoryStore.put_object(folder.store, at, memoryview(CONTENT), ObjectOptions(metadata=ours))
    outcome = await folder.sync("new")
    assert (outcome.state, outcome.adopted) == (State.SYNCED, appeared)
    assert folder.copies.copies == (not appeared)
