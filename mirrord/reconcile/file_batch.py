"""New small files, sent in batches: read together, begun in one commit, put by a few workers, recorded as answers come.

Owns the straight way only, for files that `planning.decisions.new_files` selects: each file is put with If-None-Match,
proven by the answer, and recorded. A lost answer is resolved as for any write (`transfer.writes`). Any other error ends
the attempt here, and the file is handed to its own check. Its intent stays in the journal, so that the check resolves
the outcome as after a kill (`unfinished`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import field
from functools import partial
from itertools import islice
from logging import getLogger
from typing import NamedTuple, Protocol

from mirrord.aio import finish
from mirrord.checksums import combines
from mirrord.errors import (
    ConditionRefused,
    IntegrityError,
    JournalError,
    MirrordError,
    OutcomeUnknown,
    PreconditionFailed,
    Recovery,
    SourceError,
    StoreError,
)
from mirrord.events import ItemChanged
from mirrord.frozen import frozen
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Copied,
    FileIdentity,
    Integrity,
    Item,
    JournaledProgress,
    ObjectOptions,
    Observed,
    Outcome,
    Revision,
    State,
    StoredObject,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.describe import described
from mirrord.planning.decisions.new_files import is_proven_by_a_put
from mirrord.ports import ObjectStore
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.ledger import record_other_bytes
from mirrord.reconcile.reconciler import Retry, StoreOf, outcome_of_error
from mirrord.reconcile.records import with_copy
from mirrord.reconcile.transfer_attempt import TransferAttempt, internal_error
from mirrord.reconcile.transfers import Transfers
from mirrord.reconcile.unfinished import as_copied
from mirrord.transfer import proof
from mirrord.transfer.budget import Buffer
from mirrord.transfer.writes import ObjectWrite
from mirrord.units import KiB, MiB

_log = getLogger(__name__)

MOST_FILES = 256
"""Files of one batch."""
_MOST_BYTES = 2 * MiB - 1
"""Bytes of one batch. Its buffer has one byte more."""
_LEAST_BYTES = 64 * KiB
"""Of one batch, also where less may be read in a second."""
_SHARE = 16
"""The buffer of one batch is at most 1/16 of the limit. Programs send at most as many bytes at a time as three have,
3/16 of it. A batch has its buffer while it waits for a slot, and transfers with slots wait for buffers of up to half of
the limit: there is always room for one."""
_PUTS_OF_A_TURN = 4
"""Puts for which a worker keeps its slot: another transfer that waits gets one soon."""
COMMIT_WITHIN = 0.1
"""Seconds from an answer to the commit of its record, at most: one commit for all answers until then."""


class NewFile(NamedTuple):
    """A file without a record, and without an object at its key."""

    item: Item
    revision: Revision
    file: FileIdentity


ReadFiles = Callable[
    [str, Sequence[tuple[str, FileIdentity]], memoryview, ChecksumKind], Awaitable[Sequence[Checksum | None]]
]
"""(root, names and states, view, kind) -> the checksums of the files whose bytes are in `view`, one after the other;
None: that file changed. Raises SourceError."""


class Ended(Protocol):
    """Called once for each file of a batch, unless an error of the journal ends the whole."""

    def synced(self, item: Item, outcome: Outcome) -> None:
        """The file is sent and recorded."""

    def left(self, item: Item, failed: Outcome | None) -> None:
        """The file needs its own check now; with `failed`, after this outcome of a first attempt."""


@frozen(kw_only=True)
class FileBatches:
    """Sends batches of new files, with the slots, buffers and journal of `transfers`."""

    transfers: Transfers
    store_of: StoreOf
    read: ReadFiles
    breakers: Breakers
    retry: Retry
    workers: int
    """Puts of one batch at a time, at most."""
    doubt: Callable[[str], None]
    """Called with the id of an item whose key is not free, although a listing lacked it, or whose store refuses the
    condition."""
    unproven: set[str] = field(default_factory=set)
    """Endpoints whose answers to a put prove no bytes: each object needs a HEAD."""

    @property
    def most_bytes(self) -> int:
        """Bytes of one batch, at most; a larger file has its own."""
        most = min(_MOST_BYTES, self.transfers.budget.limit // _SHARE - 1)
        rate = self.transfers.budget.bandwidth.rate  # its first file waits at most a second for the others
        return most if rate is None else min(most, max(rate, _LEAST_BYTES))

    async def send(self, files: Sequence[NewFile], ended: Ended) -> None:
        """Send files of one folder, together at most half of the buffers' limit. Raises JournalError only."""
        store = await self._store(files[0].item)
        if store is None:
            for one in files:
                ended.left(one.item, None)
            return
        await self.transfers.budget.bandwidth.pay(sum(one.file.size for one in files))
        with await self.transfers.budget.acquire(sum(one.file.size for one in files) + 1) as buffer:
            batch = _Batch(self, files[0].item.entry, store, ended)
            await batch.send(files, buffer)
        if batch.recorded is not None:
            await self.transfers.learned.after_copy(batch.recorded, store, TransferKind.PUT)

    async def _store(self, item: Item) -> ObjectStore | None:
        """The store of the items; None: it does not answer, or needs more than a put of each."""
        with suppress(StoreError):
            store = await self.store_of(item)
            limit = self.transfers.budget.limit
            if is_proven_by_a_put(item.options, store.provider, limit) and self.takes(item):
                return store
        return None

    def takes(self, item: Item) -> bool:
        """Whether the item's store, as far as is known, answers now, and answers with what a put needs."""
        endpoint = item.destination.endpoint
        if endpoint in self.unproven or endpoint in self.transfers.refused_conditions:
            return False
        return self.breakers.closed(item)


class _Put(NamedTuple):
    """One file of a batch, whose intent is in the journal."""

    attempt: TransferAttempt
    transfer: Transfer
    body: memoryview
    checksum: Checksum
    options: ObjectOptions


class _Batch:
    """One batch that is being sent."""

    def __init__(self, owner: FileBatches, entry: str, store: ObjectStore, ended: Ended) -> None:
        self._owner = owner
        self._entry = entry
        self._transfers = owner.transfers
        self._store = store
        self._ended = ended
        self._failed = False
        self._refused = False
        self._working = 0
        self._all_put = asyncio.Event()
        self._answered: list[tuple[_Put, Copied]] = []
        self.recorded: Item | None = None
        """One of the items whose object is recorded."""

    async def send(self, files: Sequence[NewFile], buffer: Buffer) -> None:
        """Read, begin, put and record the files."""
        puts = await self._read(files, buffer)
        if not puts:
            return
        await self._transfers.journal.begin_all([one.transfer for one in puts])
        try:
            async with asyncio.TaskGroup() as group:
                queue = iter(puts)
                self._working = min(self._owner.workers, len(puts))
                for _ in range(self._working):
                    group.create_task(self._work(queue))
                group.create_task(self._commit_regularly())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            if self._failed:
                buffer.discard()  # a connection may still use it
            await finish(self._commit())  # after a cancellation: what the store has answered

    # ── read ──────────────────────────────────────────────────────────────────────────────────────
    async def _read(self, files: Sequence[NewFile], buffer: Buffer) -> list[_Put]:
        """The files with their bytes. Those that changed are left."""
        names = [_file_of(one.item) for one in files]
        expected = [(name, one.file) for (_, name), one in zip(names, files, strict=True)]
        try:
            sums = await self._owner.read(names[0][0], expected, buffer.view, self._store.provider.checksum)
        except SourceError:
            buffer.discard()  # a thread may still write into it
            for one in files:
                self._ended.left(one.item, None)
            return []
        puts, at, now = list[_Put](), 0, self._transfers.clock.now()
        options = files[0].item.options.object  # of the folder
        digest = options_digest(options)
        await self._transfers.journal.remember_options(digest, options)
        for one, checksum in zip(files, sums, strict=True):
            body = buffer.view[at : at + one.file.size]
            at += one.file.size
            if checksum is None:
                self._ended.left(one.item, None)
            else:
                puts.append(self._put_of(one, body, checksum, digest, now))
        return puts

    def _put_of(self, one: NewFile, body: memoryview, checksum: Checksum, digest: str, now: float) -> _Put:
        item, revision = one.item, one.revision
        attempt = TransferAttempt.of(item, 1, self._transfers.observer, self._transfers.clock)
        transfer = Transfer(
            id=attempt.transfer_id,
            item_id=item.id,
            destination=item.destination,
            revision=revision,
            kind=TransferKind.PUT,
            started=now,
            checksum_kind=checksum.kind,
            options_digest=digest,
            progress=_proof_of(checksum, now),
        )
        observed = Observed(revision=revision, ranges=True)
        options = described(item.options.object, observed, item.destination.key, transfer.id)
        return _Put(attempt, transfer, body, checksum, options)

    # ── put ───────────────────────────────────────────────────────────────────────────────────────
    async def _work(self, queue: Iterator[_Put]) -> None:
        """Put files of the queue, which all workers share, one after the other."""
        try:
            more = True
            while more:
                more = False
                async with self._transfers.slots.taken(self._entry):
                    for one in islice(queue, _PUTS_OF_A_TURN):
                        more = True
                        await self._put(one)
        finally:
            self._working -= 1
            if not self._working:
                self._all_put.set()

    async def _put(self, one: _Put) -> None:
        attempt, transfer = one.attempt, one.transfer
        if self._failed and (self._refused or not self._owner.takes(attempt.item)):
            self._ended.left(attempt.item, None)
            return
        attempt.started(transfer.id, transfer.kind, len(one.body))
        try:
            await self._prove(one, await self._stored(one))
        except JournalError as error:
            attempt.failed(error, None)
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one file must not stop the others
            self._fail(attempt, error)
        except BaseException:
            attempt.interrupted()
            raise

    async def _stored(self, one: _Put) -> StoredObject:
        """The object as stored. An outcome that is not known is resolved by a HEAD here, as for any write."""
        at = one.transfer.destination
        request = partial(self._store.put_object, at, one.body, one.options, one.checksum, if_none_match=True)
        try:
            return await request()
        except OutcomeUnknown as error:
            self._failed = True  # its connection may still use the buffer
            write = ObjectWrite(
                store=self._store, at=at, transfer_id=one.transfer.id, size=len(one.body), whole=one.checksum
            )
            return await write.resolve(request, error)

    async def _prove(self, one: _Put, stored: StoredObject) -> None:
        """Take the answer if it proves the bytes. Raises IntegrityError and OutcomeUnknown."""
        try:
            integrity = proof.of_put(one.checksum, stored, len(one.body))
        except IntegrityError:
            await record_other_bytes(self._transfers.journal, one.attempt, as_copied(one.transfer, stored, ()))
            raise
        if integrity is Integrity.LENGTH:
            self._owner.unproven.add(one.transfer.destination.endpoint)
            raise OutcomeUnknown(f"{one.transfer.destination}: the answer shows no checksum, a HEAD follows")
        copied = Copied(
            transfer_id=one.transfer.id,
            revision=one.transfer.revision,
            kind=TransferKind.PUT,
            size=len(one.body),
            parts=1,
            etag=stored.etag,
            etag_from_head=stored.from_head,
            checksum=one.checksum,
            integrity=integrity,
        )
        self._owner.breakers.answered(one.attempt.item, self._transfers.clock.monotonic(), store=True)
        self._answered.append((one, copied))

    def _fail(self, attempt: TransferAttempt, error: Exception) -> None:
        """The attempt failed: the item's own check is the next one, after a pause as after any failure."""
        item, self._failed = attempt.item, True
        if not isinstance(error, MirrordError):
            _log.error("internal error", exc_info=error, extra={"item": item.id})
            error = internal_error(error)
        if isinstance(error, PreconditionFailed | ConditionRefused):  # another try would be refused, too
            self._owner.doubt(item.id)
        now = self._transfers.clock.monotonic()
        outage = self._owner.breakers.failed(item, error, now, begun=True, fresh=True)
        outcome = outage or outcome_of_error(error, 1, self._owner.retry)
        at_once = error.recovery is Recovery.BLOCK
        self._refused |= isinstance(error, ConditionRefused)
        attempt.failed(error, 0.0 if at_once else outcome.retry_in)
        self._ended.left(item, None if at_once or outcome.retry_in is None else outcome)

    # ── record ────────────────────────────────────────────────────────────────────────────────────
    async def _commit_regularly(self) -> None:
        while not self._all_put.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_WITHIN):
                    await self._all_put.wait()
            await finish(self._commit())

    async def _commit(self) -> None:
        """Record what the store has answered, then report it. Raises JournalError, after the end of each attempt."""
        answered, self._answered = self._answered, []
        if not answered:
            return
        now = self._transfers.clock.now()
        records = [
            (copied.transfer_id, with_copy(one.attempt.item, None, copied, now, one.transfer.options_digest))
            for one, copied in answered
        ]
        try:
            await self._transfers.journal.finish_all(records)
        except JournalError as error:
            for one, _ in answered:
                one.attempt.failed(error, None)
            raise
        for one, copied in answered:
            item = self.recorded = one.attempt.item
            one.attempt.completed(copied)
            self._transfers.observer(ItemChanged(item=item, state=State.SYNCED))
            self._ended.synced(item, Outcome(state=State.SYNCED, copied=copied))


def _proof_of(checksum: Checksum, now: float) -> JournaledProgress:
    """What the intent of a put says about its bytes: a checksum that the store may not show. See
    `JournalLedger.completing`."""
    if combines(checksum.kind):
        return JournaledProgress()
    return JournaledProgress(whole=checksum, complete_requested=now)


def _file_of(item: Item) -> tuple[str, str]:
    """The folder's path, and the file's name relative to it."""
    file = item.folder_file
    if file is None or file.root is None:
        raise ValueError("only files of a folder are sent together")
    return file.root, file.name
