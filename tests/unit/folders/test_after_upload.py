"""What comes after an upload: when a file may go, what is recorded of it, and what is never asked or said."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from mirrord import checksums
from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import Reason, SourceTimedOut, StoreDenied, StoreUnavailable
from mirrord.events import Event, ItemBlocked
from mirrord.folders.after_upload import AGAIN, AfterUpload
from mirrord.folders.copy_proof import CopyProof
from mirrord.model import (
    META_TRANSFER,
    Checksum,
    ChecksumKind,
    Copied,
    DeleteFile,
    Destination,
    Drift,
    FileAction,
    FileIdentity,
    FileRemoval,
    Integrity,
    Item,
    KeepFile,
    MoveFile,
    ObjectOptions,
    Observed,
    Options,
    Outcome,
    Record,
    Revision,
    State,
    StoredObject,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.file_removal import RemovalResult
from mirrord.planning.items.bind import item_of
from mirrord.ports import ByteStream
from mirrord.sources.folder.walk import FoundFile
from mirrord.testing import ManualClock, MemoryJournal, MemorySource, MemoryStore, SourceHooks
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.records import make_record, with_fields

BODY = b"body"
FILE = FileIdentity(1, 2, len(BODY), 4, 5)
SPEC = FolderSpec(
    entry="inbox",
    path="/srv/inbox",
    target=FolderTarget(store="default", endpoint="http://store", bucket="bucket"),
    after_upload=DeleteFile(),
)
ITEM = item_of(SPEC, "sub/a", 0.0)
CRC = checksums.compute(ChecksumKind.CRC64NVME, memoryview(BODY))
RECORD = make_record(
    item_id=ITEM.id,
    entry="inbox",
    source=ITEM.origin.address,
    destination=ITEM.destination,
    state=State.SYNCED,
    revision=Revision(address="x", length=len(BODY), file=FILE, departs=True),
    transfer_id="t",
    etag='"e"',
    size=len(BODY),
    checksum=CRC,
    integrity=Integrity.FULL_OBJECT,
    etag_from_head=True,
)
ADOPTED = with_fields(RECORD, integrity=None, revision=Revision(address="x", length=len(BODY), file=FILE))
STANDING = StoredObject(size=len(BODY), etag='"e"', metadata={META_TRANSFER: "t"})
COPIED = Copied(
    transfer_id="t",
    revision=Revision(address="x", file=FILE),
    kind=TransferKind.PUT,
    size=len(BODY),
    parts=1,
    etag='"e"',
    checksum=CRC,
    integrity=Integrity.FULL_OBJECT,
    etag_from_head=True,
)
SYNCED = Outcome(state=State.SYNCED)


def with_after(after: FileAction) -> Item:
    """The item, of a folder with this `after_upload`."""
    return item_of(replace(SPEC, after_upload=after), "sub/a", 0.0)


class LocalFile(MemorySource):
    """A source that shows itself as `FILE`, whatever its bytes are."""

    @property
    def observed(self) -> Observed:
        return Observed(revision=Revision(address="x", length=len(BODY), file=FILE))


@dataclass
class World:
    """Everything around `AfterUpload`, scripted. `asked` is what happened, in order."""

    outcome: Outcome = field(default_factory=lambda: replace(SYNCED, copied=COPIED))
    record: Record | None = RECORD
    standing: StoredObject | None = STANDING
    here: bool = True
    answer: RemovalResult = field(default_factory=lambda: RemovalResult(gone=True))
    content: bytes = BODY
    stored: bytes = BODY
    down: bool = False
    clock: ManualClock = field(default_factory=ManualClock)
    asked: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    proven: list[FileIdentity | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = MemoryJournal()
        self.after_upload = AfterUpload(
            reconciler=self,
            quarantine=self,
            journal=self.journal,
            proof=CopyProof(
                journal=self.journal,
                store_of=self.store_of,
                source_of=self.source_of,
                budget=Budget(MiB),
                observer=self.events.append,
            ),
            observer=self.events.append,
            clock=self.clock,
        )

    async def look(self, item: Item = ITEM) -> Outcome:
        if self.record is not None and await self.journal.record(item.id) is None:
            await self.journal.save(self.record)
        return await self.after_upload.reconcile(item)

    async def resume(self, spec: FolderSpec = SPEC, name: str = "sub/a") -> None:
        if self.record is not None:
            await self.journal.save(self.record)
        await self.after_upload.resume(spec, [FoundFile(name, Revision(address="x", file=FILE))])

    async def recorded(self) -> Record:
        record = await self.journal.record(ITEM.id)
        assert record is not None
        return record

    # the reconciler
    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        self.asked.append("look")
        return self.outcome

    # the file system
    async def exists(self, root: str, name: str) -> bool:
        assert (root, name) == ("/srv/inbox", "sub/a")
        return self.here

    async def remove(self, root: str, name: str, proven: FileIdentity, move: str | None) -> RemovalResult:
        record = await self.recorded()
        assert record.revision is not None
        assert record.revision.departs, "it is known before it happens"
        self.asked.append(f"remove {root} {name} {move}")
        self.proven.append(proven)
        return self.answer

    async def resume_one(self, root: str, name: str, proven: FileIdentity | None, move: str | None) -> RemovalResult:
        self.asked.append(f"resume {root} {name} {move}")
        self.proven.append(proven)
        return self.answer

    # the store
    async def store_of(self, item: Item) -> "Store":
        if self.down:
            raise StoreUnavailable("the store is down")
        return Store(self)

    # the source
    def source_of(self, item: Item) -> MemorySource:
        async def opened(_start: int, _end: int) -> None:
            self.asked.append("read the file")

        return LocalFile(self.content, hooks=SourceHooks(on_open=opened))


class Store(MemoryStore):
    """HEAD shows the world's `standing`, GET gives its `stored`."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    async def head_object(self, at: Destination) -> StoredObject | None:
        self.world.asked.append("head")
        return self.world.standing

    @asynccontextmanager
    async def get_object(self, at: Destination, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        self.world.asked.append("read the object")
        await self.ensure_bucket(at.bucket)
        await self.put_object(at, memoryview(self.world.stored), ObjectOptions())
        async with super().get_object(at, start, end) as stream:
            yield stream


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def made(**given: object) -> World:
        found = World(**given)  # type: ignore[arg-type]
        quarantine = type(
            "Quarantine", (), {"exists": found.exists, "remove": found.remove, "resume": found.resume_one}
        )
        found.after_upload = replace(found.after_upload, quarantine=quarantine)
        return found

    return made


Made = Callable[..., World]


# ── a file that is to go ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("removal", "says"),
    [(DeleteFile(), "uploaded, then deleted"), (MoveFile("/done"), "uploaded, then moved to /done/sub/a")],
)
async def test_a_new_copy_removes_the_file(world: Made, removal: FileRemoval, says: str) -> None:
    move = removal.directory if isinstance(removal, MoveFile) else None
    found = world(answer=RemovalResult(gone=True, at="/done/sub/a" if move else None))
    assert await found.look(with_after(removal)) == Outcome(state=State.SYNCED, message=says, copied=COPIED)
    assert found.asked == ["look", f"remove /srv/inbox sub/a {move}"]
    assert found.proven == [FILE]
    record = await found.recorded()
    assert (record.condition.state, record.condition.message) == (State.SYNCED, says)


async def test_a_file_that_was_in_sync_is_removed_if_the_object_is_still_ours(world: Made) -> None:
    found = world(outcome=SYNCED)
    await found.look()
    assert found.asked == ["look", "head", "remove /srv/inbox sub/a None"]


@pytest.mark.parametrize("standing", [None, replace(STANDING, etag='"f"'), replace(STANDING, metadata={})])
async def test_another_object_keeps_the_file(world: Made, standing: StoredObject | None) -> None:
    found = world(outcome=SYNCED, standing=standing)
    outcome = await found.look()
    assert outcome.message.startswith("uploaded, but the file could not be deleted: the object was ")
    assert found.proven == []


UNSHOWN = replace(COPIED, etag_from_head=False)


async def test_a_copy_without_a_head_after_its_write_gets_one_before_its_file_is_removed(world: Made) -> None:
    """Its answer's ETag need not be the one that HEAD shows: the transfer's id and the length decide."""
    shown = replace(STANDING, etag='"shown"')
    record = with_fields(RECORD, etag_from_head=False)
    found = world(outcome=replace(SYNCED, copied=UNSHOWN), record=record, standing=shown)
    await found.look()
    assert found.asked == ["look", "head", "remove /srv/inbox sub/a None"]
    assert ((await found.recorded()).object.etag, (await found.recorded()).object.etag_from_head) == ('"shown"', True)


@pytest.mark.parametrize(
    "standing",
    [None, replace(STANDING, size=1), replace(STANDING, metadata={}), StoredObject(size=0, etag="")],
)
@pytest.mark.parametrize("after_upload", [DeleteFile(), MoveFile("/done")])
async def test_a_copy_that_no_head_shows_keeps_its_file(
    world: Made, standing: StoredObject | None, after_upload: FileRemoval
) -> None:
    record = with_fields(RECORD, etag_from_head=False)
    found = world(outcome=replace(SYNCED, copied=UNSHOWN), record=record, standing=standing)
    outcome = await found.look(with_after(after_upload))
    assert ": the object was " in outcome.message
    assert (outcome.state, found.proven) == (State.SYNCED, [])


async def test_where_head_is_forbidden_the_file_stays(world: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(self: Store, at: Destination) -> None:
        raise StoreDenied("HeadObject: 403")

    monkeypatch.setattr(Store, "head_object", denied)
    found = world(outcome=replace(SYNCED, copied=UNSHOWN))
    outcome = await found.look()
    assert outcome.message == "uploaded, but the file could not be deleted: HeadObject: 403"
    assert (outcome.state, found.proven) == (State.SYNCED, [])
    assert (await found.recorded()).condition.message == outcome.message


async def test_a_store_that_does_not_answer_keeps_the_file(world: Made) -> None:
    found = world(outcome=SYNCED, down=True)
    assert (await found.look()).message.endswith("could not be deleted: the store is down")
    assert found.proven == []


async def test_length_is_no_proof(world: Made) -> None:
    found = world(record=with_fields(RECORD, integrity=Integrity.LENGTH))
    assert "nothing but the copy's length" in (await found.look()).message
    assert found.proven == []


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state=State.RETRYING, retry_in=1.0),
        Outcome(state=State.BLOCKED, reason=Reason.CONFLICT),
        Outcome(state=State.SYNCED, pruned=True),
    ],
)
async def test_a_file_that_is_not_in_sync_remains(world: Made, outcome: Outcome) -> None:
    found = world(outcome=outcome)
    assert await found.look() == outcome
    assert found.asked == ["look"]


@pytest.mark.parametrize(
    "item",
    [with_after(KeepFile()), replace(ITEM, options=Options(suspend=True))],
    ids=["keep", "suspended"],
)
async def test_other_items_are_only_reconciled(world: Made, item: Item) -> None:
    found = world(here=False)
    assert await found.look(item) == found.outcome
    assert found.asked == ["look"]


# ── an object that was adopted ────────────────────────────────────────────────────────────────────
async def test_an_adopted_object_with_a_checksum_is_compared_with_the_file(world: Made) -> None:
    found = world(outcome=SYNCED, record=ADOPTED)
    await found.look()
    assert found.asked == ["look", "head", "read the file", "remove /srv/inbox sub/a None"]
    assert (await found.recorded()).object.integrity is Integrity.FULL_OBJECT


async def test_an_adopted_object_without_one_is_read_back(world: Made) -> None:
    found = world(outcome=SYNCED, record=with_fields(ADOPTED, checksum=None))
    await found.look()
    assert found.asked[2:] == ["read the file", "read the object", "remove /srv/inbox sub/a None"]
    assert (await found.recorded()).object.integrity is Integrity.READBACK


async def test_a_long_read_back_of_an_adopted_object_is_in_the_status_before_it(
    world: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.folders.copy_proof.LONG_READBACK", 2)
    found = world(outcome=SYNCED, record=with_fields(ADOPTED, checksum=None))
    says, messages, save = "are now read back: the store showed no checksum", list[str](), found.journal.save

    async def saved(record: Record) -> None:
        messages.append(record.condition.message if "read the object" not in found.asked else "")
        await save(record)

    found.journal.save = saved  # type: ignore[method-assign]
    await found.look()
    assert any(says in message for message in messages)
    assert says not in (await found.recorded()).condition.message


@pytest.mark.parametrize("checksum", [None, Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")])
async def test_an_adopted_object_of_other_bytes_is_written_again(world: Made, checksum: Checksum | None) -> None:
    found = world(outcome=SYNCED, record=with_fields(ADOPTED, checksum=checksum), stored=b"bodx")
    outcome = await found.look()
    assert (outcome.state, outcome.reason, outcome.retry_in) == (State.RETRYING, Reason.CHECKSUM_MISMATCH, 1.0)
    record = await found.recorded()
    assert record.revision == Revision(address="x"), "of no revision, so that nobody takes it over"
    assert found.proven == []


# ── a file that stays ─────────────────────────────────────────────────────────────────────────────
async def test_why_a_file_remains_is_logged_once_and_recorded(world: Made, caplog: pytest.LogCaptureFixture) -> None:
    found = world(outcome=SYNCED, answer=RemovalResult(why="Permission denied"))
    for _ in range(3):
        outcome = await found.look()
    says = "uploaded, but the file could not be deleted: Permission denied"
    assert outcome == Outcome(state=State.SYNCED, message=says)
    assert [line.getMessage() for line in caplog.records] == [f"{ITEM.origin.address}: {says}"]
    record = await found.recorded()
    assert record.condition.message == says
    assert record.revision is not None
    assert not record.revision.departs, "should it go now, it was not us"


async def test_a_file_that_was_put_back_is_recorded_and_not_tried_again_for_a_while(world: Made) -> None:
    now = replace(FILE, ctime_ns=9)
    found = world(answer=RemovalResult(why="No space left on device", file=now))
    await found.look()
    record = await found.recorded()
    assert record.revision is not None
    assert record.revision.file == now
    await found.look()
    assert len(found.proven) == 1
    await found.clock.advance(AGAIN)
    await found.look()
    assert found.proven == [FILE, now]


async def test_another_file_of_that_name_is_not_touched(world: Made) -> None:
    found = world(answer=RemovalResult())
    assert await found.look() == replace(SYNCED, copied=COPIED)
    assert (await found.recorded()).condition.message == ""


# ── a file that is gone ───────────────────────────────────────────────────────────────────────────
async def test_an_item_whose_file_was_removed_remains_in_sync(world: Made) -> None:
    found = world(here=False, record=with_fields(RECORD, message="uploaded, then deleted"))
    assert await found.look() == Outcome(state=State.SYNCED, message="uploaded, then deleted")
    assert found.asked == ["head"]
    assert found.events == []


async def test_a_missing_file_that_was_not_uploaded_is_checked(world: Made) -> None:
    found = world(here=False, record=with_fields(RECORD, state=State.RETRYING), outcome=SYNCED)
    await found.look()
    assert found.asked[0] == "look"


async def test_a_missing_object_of_a_removed_file_is_drift_that_cannot_be_repaired(world: Made) -> None:
    found = world(here=False, standing=None)
    outcome = await found.look()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.DRIFTED)
    assert [type(one) for one in found.events[:1]] == [ItemBlocked]
    found.standing = STANDING
    assert (await found.look()).state is State.SYNCED


async def test_drift_may_be_ignored(world: Made) -> None:
    found = world(here=False, standing=None)
    assert (await found.look(replace(ITEM, options=Options(drift=Drift.IGNORE)))).state is State.SYNCED
    assert found.asked == []


async def test_a_store_that_is_down_changes_nothing(world: Made) -> None:
    found = world(here=False, down=True)
    assert await found.look() == SYNCED
    assert await found.recorded() == RECORD


async def test_a_transfer_that_is_unfinished_is_the_reconcilers_to_settle(world: Made) -> None:
    found = world(here=False, outcome=Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING))
    await found.journal.begin(
        Transfer(
            id="u",
            item_id=ITEM.id,
            destination=ITEM.destination,
            revision=Revision(address="x"),
            kind=TransferKind.PUT,
            started=0.0,
        )
    )
    await found.look()
    assert found.asked == ["look"]


# ── killed, and begun again ───────────────────────────────────────────────────────────────────────
async def test_the_removal_of_a_proven_file_is_finished(world: Made) -> None:
    found = world()
    await found.resume()
    assert found.asked == ["head", "resume /srv/inbox sub/a None"]
    assert found.proven == [FILE]
    assert (await found.recorded()).condition.message == "uploaded, then deleted"


@pytest.mark.parametrize(
    ("spec", "record", "standing"),
    [
        (SPEC, None, STANDING),
        (SPEC, ADOPTED, STANDING),
        (SPEC, with_fields(RECORD, integrity=Integrity.LENGTH), STANDING),
        (SPEC, with_fields(RECORD, state=State.RETRYING), STANDING),
        (SPEC, RECORD, None),
        (replace(SPEC, after_upload=KeepFile()), RECORD, STANDING),
        (replace(SPEC, options=Options(suspend=True)), RECORD, STANDING),
    ],
)
async def test_any_other_is_put_back(
    world: Made, spec: FolderSpec, record: Record | None, standing: StoredObject | None
) -> None:
    found = world(record=record, standing=standing, answer=RemovalResult())
    await found.resume(spec)
    assert found.proven == [None]


async def test_while_the_store_is_down_a_file_remains_set_aside(world: Made) -> None:
    found = world(down=True)
    await found.resume()
    assert found.asked == []


async def test_a_name_that_makes_no_key_is_put_back(world: Made) -> None:
    found = world(answer=RemovalResult())
    await found.resume(with_fields(SPEC, key="x" * 1020 + "{path}"))
    assert found.proven == [None]


async def test_a_removal_that_runs_is_not_started_again(world: Made) -> None:
    found = world()
    plain = found.remove

    async def meanwhile(*given: object) -> RemovalResult:
        await found.resume()
        return await plain(*given)  # type: ignore[arg-type]

    found.after_upload.quarantine.remove = meanwhile  # type: ignore[method-assign]
    await found.look()
    assert found.asked == ["look", "remove /srv/inbox sub/a None"]


async def test_a_check_does_not_touch_a_file_while_its_removal_is_resumed(world: Made) -> None:
    found = world(outcome=SYNCED)
    plain = found.after_upload.quarantine.resume

    async def meanwhile(*given: object) -> RemovalResult:
        await found.look()
        return await plain(*given)  # type: ignore[arg-type]

    found.after_upload.quarantine.resume = meanwhile  # type: ignore[method-assign]
    await found.resume()
    assert found.asked == ["head", "look", "resume /srv/inbox sub/a None"]
    await found.look()
    assert found.asked[3:] == ["look", "head", "remove /srv/inbox sub/a None"]


# ── a folder that does not answer ─────────────────────────────────────────────────────────────────
async def unanswered(_item: Item) -> str | None:
    raise SourceTimedOut("/srv/inbox has not answered for 30 s")


async def test_a_file_of_a_folder_that_does_not_answer_is_checked_and_remains(world: Made) -> None:
    found = world(outcome=SYNCED)
    found.after_upload = replace(found.after_upload, rival=unanswered)
    assert await found.look() == SYNCED
    assert found.asked == ["look"]


async def test_what_was_set_aside_waits_until_the_folder_answers(world: Made) -> None:
    found = world()
    found.after_upload = replace(found.after_upload, rival=unanswered)
    await found.resume()
    assert found.asked == []


# ── a file that another folder matches, too ───────────────────────────────────────────────────────
async def another_folder(_item: Item) -> str | None:
    return "another folder matches it"


@pytest.mark.parametrize("after", [DeleteFile(), MoveFile("/done"), KeepFile()])
async def test_a_file_with_a_rival_is_neither_copied_nor_removed(world: Made, after: FileAction) -> None:
    found = world()
    found.after_upload = replace(found.after_upload, rival=another_folder)
    item = with_after(after)
    for _ in range(2):
        outcome = await found.look(item)
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert found.asked == []
    record = await found.recorded()
    assert (record.condition.state, record.condition.reason, record.object.etag) == (
        State.BLOCKED,
        Reason.CONFLICT,
        RECORD.object.etag,
    )
    assert len(found.events) == 2, "it is said once"


async def test_a_missing_file_with_a_rival_is_checked_as_usual(world: Made) -> None:
    found = world(here=False, record=None)
    found.after_upload = replace(found.after_upload, rival=another_folder)
    await found.look(with_after(KeepFile()))
    assert found.asked == ["look"]


async def test_a_file_with_a_rival_that_was_set_aside_is_put_back(world: Made) -> None:
    found = world()
    found.after_upload = replace(found.after_upload, rival=another_folder)
    await found.resume()
    assert found.proven == [None]
