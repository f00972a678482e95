"""One batch of new small files: sent and recorded together; what deviates ends once and is left to its own check."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mirrord import checksums
from mirrord.errors import (
    ChecksumMismatch,
    ConditionRefused,
    JournalError,
    JournalUnavailable,
    OutcomeUnknown,
    PreconditionFailed,
    SourceTimedOut,
    StoreDenied,
    StoreUnavailable,
)
from mirrord.events import Event, TransferCompleted, TransferFailed, TransferInterrupted, TransferStarted
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    File,
    FileIdentity,
    Integrity,
    Item,
    ObjectOptions,
    Options,
    Outcome,
    ProviderName,
    Record,
    Revision,
    State,
    StoredObject,
    Transfer,
    UploadOptions,
)
from mirrord.providers import profile
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.file_batch import FileBatches, NewFile
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import ManualClock, MemoryJournal, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import KiB, MiB

FILES = 8
WORKERS = 2
AT = Destination("default", "http://store", "bucket", "")
ENDS = (TransferCompleted, TransferFailed, TransferInterrupted)

Answer = Callable[[Destination, StoredObject], Any]
"""What the store does instead of its answer to a put; it may raise."""


class Store(MemoryStore):
    """`answer` is called after a put was carried out, `refuse` before it."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets["bucket"] = {}
        self.puts: list[str] = []
        self.conditions: set[bool] = set()
        self.answer: Answer = lambda _at, stored: stored
        self.refuse: Callable[[Destination], object] = lambda _at: None

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        self.puts.append(at.key)
        self.conditions.add(if_none_match)
        await asyncio.sleep(0)
        self.refuse(at)
        stored = await super().put_object(at, body, options, checksum, if_none_match=if_none_match)
        answer = self.answer(at, stored)
        return await answer if asyncio.iscoroutine(answer) else answer


class Journal(MemoryJournal):
    """`fails` at `begin_all` or at `finish_all`. `commits`: how many transfers each had."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = ""
        self.begun: list[int] = []
        self.finished: list[int] = []

    async def begin_all(self, transfers: Sequence[Transfer]) -> None:
        if self.fails == "begin":
            raise JournalUnavailable("the disk is full")
        self.begun.append(len(transfers))
        await super().begin_all(transfers)

    async def finish_all(self, finished: Sequence[tuple[str, Record]]) -> None:
        await asyncio.sleep(0)
        if self.fails == "finish":
            raise JournalUnavailable("the disk is full")
        self.finished.append(len(finished))
        await super().finish_all(finished)


@dataclass
class Batch:
    """New files, and what became of each."""

    journal: Journal = field(default_factory=Journal)
    store: Store = field(default_factory=Store)
    breakers: Breakers = field(default_factory=Breakers)
    events: list[Event] = field(default_factory=list)
    done: dict[str, Outcome] = field(default_factory=dict)
    rest: dict[str, Outcome | None] = field(default_factory=dict)
    doubted: list[str] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    options: Options = field(default_factory=Options)
    error: Exception | None = None
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all files but one are recorded."""

    def __post_init__(self) -> None:
        async def store_of(_item: Item) -> Store:
            return self.store

        clock = ManualClock(1000.0)
        self.budget = Budget(64 * MiB)
        self.transfers = Transfers(
            journal=self.journal,
            observer=self.events.append,
            clock=clock,
            budget=self.budget,
            slots=TransferSlots(4),
        )
        self.batches = FileBatches(
            transfers=self.transfers,
            store_of=store_of,
            read=self.read,
            breakers=self.breakers,
            retry=lambda failures, _after: 7.0 * failures,
            workers=WORKERS,
            doubt=self.doubted.append,
        )

    async def read(
        self, root: str, files: Sequence[tuple[str, FileIdentity]], view: memoryview, kind: ChecksumKind
    ) -> list[Checksum | None]:
        assert root == "/srv/inbox"
        if self.error is not None:
            raise self.error
        at, sums = 0, list[Checksum | None]()
        for name, file in files:
            view[at : at + file.size] = content(name)
            sums.append(None if name in self.changed else checksums.compute(kind, view[at : at + file.size]))
            at += file.size
        return sums

    def files(self) -> list[NewFile]:
        found = []
        for number in range(FILES):
            name = f"f{number}"
            at, file = replace(AT, key=f"in/{name}"), FileIdentity(1, number, len(content(name)), 4, 5)
            item = Item(id=at.item_id, entry="e", origin=File("/srv/inbox", name), destination=at, options=self.options)
            found.append(NewFile(item, Revision(address=name, length=file.size, file=file), file))
        return found

    async def send(self) -> None:
        await self.batches.send(self.files(), self)

    def synced(self, item: Item, outcome: Outcome) -> None:
        self.done[item.destination.key] = outcome
        if len(self.done) == FILES - 1:
            self.recorded.set()

    def left(self, item: Item, failed: Outcome | None) -> None:
        self.rest[item.destination.key] = failed

    def starts(self) -> int:
        """The number of starts; each has exactly one end, and each file one outcome at most."""
        begun = Counter(one.transfer_id for one in self.events if isinstance(one, TransferStarted))
        ended = Counter(one.transfer_id for one in self.events if isinstance(one, ENDS))
        assert begun == ended
        assert set(begun.values()) <= {1}
        assert not self.done.keys() & self.rest.keys()
        return len(begun)

    def ends(self, kind: type[Event]) -> int:
        return sum(isinstance(one, kind) for one in self.events)

    async def open(self) -> int:
        return len([one async for one in self.journal.unfinished()])


def content(name: str) -> bytes:
    return name.encode() * 100


async def test_many_are_sent_with_two_commits() -> None:
    batch = Batch()
    await batch.send()
    assert batch.starts() == len(batch.done) == FILES
    assert (batch.journal.begun, batch.journal.finished) == ([FILES], [FILES])
    assert batch.store.conditions == {True}
    kept = batch.store.buckets["bucket"]
    assert {key: one.content for key, one in kept.items()} == {f"in/f{n}": content(f"f{n}") for n in range(FILES)}
    assert (await batch.open(), batch.rest, batch.budget.in_use) == (0, {}, 0)


async def test_the_record_and_the_object_are_those_of_a_single_check() -> None:
    batch = Batch(options=Options(object=ObjectOptions(cache_control="no-store", metadata={"a": "b"})))
    await batch.send()
    one = batch.files()[3]
    record, kept = await batch.journal.record(one.item.id), batch.store.buckets["bucket"]["in/f3"]
    assert record is not None
    assert (record.entry, record.source) == ("e", "file:///srv/inbox/f3")
    assert (record.condition.state, record.revision) == (State.SYNCED, one.revision)
    known = record.object
    assert (known.size, known.etag, known.integrity) == (200, kept.stored.etag, Integrity.FULL_OBJECT)
    assert kept.options.metadata["mirrord-transfer"] == known.transfer_id
    assert (kept.options.cache_control, kept.options.metadata["a"]) == ("no-store", "b")


async def test_files_that_changed_are_left() -> None:
    batch = Batch(changed={"f1", "f7"})
    await batch.send()
    assert batch.rest == {"in/f1": None, "in/f7": None}
    assert batch.starts() == len(batch.done) == FILES - 2
    assert await batch.open() == 0


async def test_a_folder_that_does_not_answer_is_left() -> None:
    batch = Batch(error=SourceTimedOut("silent"))
    await batch.send()
    assert (len(batch.rest), batch.starts(), batch.journal.begun) == (FILES, 0, [])
    assert batch.budget.mapped == 0  # a thread may still write into the buffer


@pytest.mark.parametrize(
    ("error", "paused"),
    [
        (StoreUnavailable("503", answered=True), True),
        (OutcomeUnknown("lost"), True),
        (ChecksumMismatch("BadDigest"), False),
        (PreconditionFailed("there is an object"), False),
        (StoreDenied("no"), False),
        (ZeroDivisionError("a fault of ours"), False),
    ],
)
async def test_a_put_that_fails_is_left_with_its_intent(error: Exception, paused: bool) -> None:
    batch = Batch()

    def refuse(at: Destination) -> None:
        if at.key == "in/f4":
            raise error

    batch.store.refuse = refuse
    await batch.send()
    failed = batch.rest.pop("in/f4")
    assert (failed is not None and failed.retry_in == 7.0, failed is not None) == (paused, paused)
    assert (batch.starts(), len(batch.done), batch.ends(TransferFailed)) == (FILES, FILES - 1, 1)
    assert (batch.rest, await batch.open()) == ({}, 1)
    assert len(batch.doubted) == isinstance(error, PreconditionFailed)
    assert batch.budget.mapped == 0  # a connection may still use the buffer


async def test_another_checksum_in_the_answer_is_recorded_as_other_bytes() -> None:
    batch = Batch()
    other = checksums.compute(ChecksumKind.CRC64NVME, memoryview(b"other"))
    batch.store.answer = lambda at, stored: replace(stored, checksum=other) if at.key == "in/f4" else stored
    await batch.send()
    record = await batch.journal.record(batch.files()[4].item.id)
    assert record is not None
    assert (record.condition.state, record.object.integrity) == (State.RETRYING, None)
    assert record.revision == Revision(address="f4")
    assert (list(batch.rest), batch.ends(TransferFailed), await batch.open()) == (["in/f4"], 1, 0)
    assert batch.starts() == FILES


async def test_answers_that_prove_nothing_end_the_batches_of_a_store() -> None:
    batch = Batch()
    batch.store.answer = lambda _at, stored: replace(stored, checksum=None)
    await batch.send()
    assert (batch.starts(), batch.ends(TransferFailed)) == (WORKERS, WORKERS)
    assert (len(batch.rest), batch.done) == (FILES, {})
    await batch.send()
    assert batch.starts() == WORKERS


async def test_a_store_without_conditions_ends_its_batch() -> None:
    batch = Batch()

    def refuse(at: Destination) -> None:
        raise ConditionRefused("501")

    batch.store.refuse = refuse
    await batch.send()
    assert (batch.starts(), len(batch.rest)) == (WORKERS, FILES)


async def test_an_outage_ends_the_batch() -> None:
    batch = Batch()

    def refuse(at: Destination) -> None:
        raise StoreUnavailable("no answer")

    batch.store.refuse = refuse
    await batch.send()
    assert batch.starts() < FILES == len(batch.rest)
    assert not batch.breakers.closed(batch.files()[0].item)
    before = batch.starts()
    await batch.send()
    assert batch.starts() == before


@pytest.mark.parametrize("kind", [ChecksumKind.CRC32, ChecksumKind.SHA256, ChecksumKind.MD5])
async def test_an_intent_has_the_checksum_that_a_later_head_may_not_show(kind: ChecksumKind) -> None:
    batch, seen = Batch(), list[Transfer]()
    batch.store._provider = replace(profile(ProviderName.SEAWEEDFS), checksum=kind)
    begin_all = batch.journal.begin_all

    async def begun(transfers: Sequence[Transfer]) -> None:
        seen.extend(transfers)
        await begin_all(transfers)

    batch.journal.begin_all = begun  # type: ignore[method-assign]
    await batch.send()
    assert batch.starts() == len(batch.done) == FILES
    sums = [checksums.compute(kind, memoryview(content(f"f{n}"))) for n in range(FILES)]
    assert [one.progress.whole for one in seen] == ([None] * FILES if kind is ChecksumKind.CRC32 else sums)
    assert {outcome.copied and outcome.copied.checksum for outcome in batch.done.values()} == set(sums)


@pytest.mark.parametrize("why", ["refused conditions", "no checksum", "multipart", "no store"])
async def test_stores_that_need_more_than_a_put(why: str) -> None:
    batch = Batch(options=Options(upload=UploadOptions(multipart_threshold=KiB, part_size=5 * MiB)))
    if why != "multipart":
        batch.options = Options()
    if why == "refused conditions":
        batch.transfers.refused_conditions._endpoints.add(AT.endpoint)
    if why == "no checksum":
        batch.store._provider = replace(profile(ProviderName.SEAWEEDFS), checksum=ChecksumKind.NONE)
    if why == "multipart":
        batch.store._provider = replace(profile(ProviderName.SEAWEEDFS), max_put=KiB)
    if why == "no store":

        async def refused(_item: Item) -> Store:
            raise StoreDenied("no")

        batch.batches = replace(batch.batches, store_of=refused)
    await batch.send()
    assert (len(batch.rest), batch.starts(), batch.store.puts) == (FILES, 0, [])


@pytest.mark.parametrize("step", ["begin", "finish"])
async def test_a_journal_that_fails_ends_all(step: str) -> None:
    batch = Batch()
    batch.journal.fails = step
    with pytest.raises(JournalError):
        await batch.send()
    assert batch.starts() == batch.ends(TransferFailed) == (0 if step == "begin" else FILES)
    assert (batch.done, await batch.open()) == ({}, 0 if step == "begin" else FILES)


async def test_a_batch_that_is_cancelled_records_what_was_answered() -> None:
    batch, gate = Batch(), asyncio.Event()

    async def held(stored: StoredObject) -> StoredObject:
        await gate.wait()
        return stored

    batch.store.answer = lambda at, stored: held(stored) if at.key >= "in/f4" else stored
    sending = asyncio.create_task(batch.send())
    await ManualClock().run_ready()
    assert len(batch.store.puts) == 4 + WORKERS
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert batch.starts() == 4 + WORKERS
    assert (len(batch.done), batch.ends(TransferInterrupted), await batch.open()) == (4, WORKERS, FILES - 4)
    assert batch.budget.mapped == 0


async def test_answers_are_recorded_while_others_are_awaited() -> None:
    batch, gate = Batch(), asyncio.Event()

    async def held(stored: StoredObject) -> StoredObject:
        await gate.wait()
        return stored

    batch.store.answer = lambda at, stored: held(stored) if at.key == "in/f7" else stored
    async with asyncio.TaskGroup() as group:
        group.create_task(batch.send())
        async with asyncio.timeout(20):
            await batch.recorded.wait()
        assert (batch.ends(TransferCompleted), await batch.open()) == (FILES - 1, 1)
        gate.set()
    assert batch.starts() == len(batch.done) == FILES
