"""The sweep: uploads of ours that outlived their transfers are removed from the stores, however they came to be left.

Owns what becomes of transfers that were given up: an abort that failed is tried again; an upload whose id nobody knows
(kill -9, or an answer lost, between Create and the journal) is found by its key and by when it began; one that may
still be completed waits until it cannot (`uncertain`). Refuses to touch any other upload: one at our key that the
journal does not explain is reported once, for it may be another program's. Which of them is ours is
`planning.transfers.sweep`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging import getLogger

from mirrord.aio import drain, finish
from mirrord.errors import BucketMissing, JournalError, OutcomeUnknown, StoreError, StoreUnavailable
from mirrord.events import UploadAborted
from mirrord.model import Destination, Transfer, Upload
from mirrord.planning.transfers.sweep import is_expired, lacks_upload_id, opened_for, uncertain, window_ends
from mirrord.ports import Clock, Journal, ObjectStore, Observer
from mirrord.reconcile.uncertain import Resolution, resolution_of
from mirrord.reconcile.unfinished import record_finished

_log = getLogger(__name__)

SWEEP_EVERY = 300.0
"""Seconds between two sweeps of a daemon, at most: what one had to put off waits no longer. Where nothing was given up,
a sweep costs a question to the journal."""
SHORTEST_PAUSE = 1.0
RETURNS = 3600.0
"""Seconds in which an item that left the manifests may come back and go on with its upload."""
COPY_ENTRY = "copy"
"""Entry of the items that `mirrord copy` makes, which are in no manifest."""
COPY_RETURNS = 86_400.0
"""Seconds in which a `copy` that failed may be repeated and go on with its upload."""

StoreAt = Callable[[Destination], Awaitable[ObjectStore]]
"""The open store of a place. Raises StoreError, also where no store of that name and endpoint is declared any more."""
Look = Callable[[str], Awaitable[bool]]
"""Have the item of this id looked at now. False: it is not in force here."""
MOST_LISTED = 10


async def _never(_item_id: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    """Sweeps for one process. `begin` before any transfer runs, `sweep` at any time, beside them."""

    journal: Journal
    store_at: StoreAt
    observer: Observer
    clock: Clock
    look: Look = _never
    _said: set[str] = field(default_factory=set)
    """Uploads and keys that were reported: once is enough."""

    async def begin(self) -> None:
        """What an earlier process asked to open and did not live to record is given up. Asks no store."""
        async for transfer in self.journal.unfinished():
            if lacks_upload_id(transfer):
                await self.journal.give_up(transfer.id, self.clock.now())

    async def run(self) -> None:
        """Sweep now and on a timer, for ever. Raises JournalError."""
        while True:
            await self.sweep()
            await self.clock.sleep(await self._pause())

    async def _pause(self) -> float:
        """Until the next sweep, which comes when the first upload can no longer be completed."""
        now = self.clock.now()
        ends = [ends - now async for one in self.journal.given_up() if (ends := window_ends(one)) and ends > now]
        return max(SHORTEST_PAUSE, min([SWEEP_EVERY, *ends]))

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """For programs that end: sweep while the block runs and, unless it failed, once more after it. Then list the
        uploads that may still be completed."""
        task = asyncio.create_task(self.sweep(looks_run=True), name="sweep")
        try:
            try:
                yield
                await task
            finally:
                await drain([task])
            await self.sweep()
        finally:
            with suppress(JournalError):
                await finish(self.report())

    async def report(self) -> None:
        """Say which uploads are left open because it is unknown whether they were completed."""
        left = [one async for one in self.journal.given_up() if uncertain(one)]
        left += [one async for one in self.journal.unfinished() if uncertain(one)]
        for one in left[:MOST_LISTED]:
            asked = datetime.fromtimestamp(one.progress.complete_requested or 0.0, UTC).isoformat(timespec="seconds")
            words = "the upload %s of %s is left open: its completion was asked for at %s and the outcome is unknown; "
            _log.warning(words + "the next start settles it", one.progress.upload_id, one.destination, asked)
        if len(left) > MOST_LISTED:
            _log.warning("and %d more uploads of unknown outcome", len(left) - MOST_LISTED)

    async def sweep(self, *, looks_run: bool = False) -> None:
        """One pass over all that was given up. What a store refuses, or cannot be asked, stays for the next pass.

        `looks_run`: the items are being looked at, which settles transfers that turn out to be finished.
        """
        await self._give_up_what_left()
        silent: set[str] = set()
        for at, given_up in (await self._by_place()).items():
            if at.store in silent:
                continue
            try:
                await self._sweep(at, given_up, looks_run=looks_run)
            except (StoreUnavailable, OutcomeUnknown) as error:
                silent.add(at.store)
                _log.info("uploads at store %r cannot be swept now: %s", at.store, error)
            except StoreError as error:
                self._say_once(str(at), "uploads of ours at %s cannot be swept: %s", at, error)

    async def _give_up_what_left(self) -> None:
        """Parts that were kept for an item which then left the manifests: nobody will ask for them."""
        async for transfer in self.journal.unfinished():
            record = await self.journal.record(transfer.item_id)
            if record is None or (left := record.removed) is None:
                continue
            if self.clock.now() - left > (COPY_RETURNS if record.entry == COPY_ENTRY else RETURNS):
                await self.journal.give_up(transfer.id, self.clock.now())

    async def _by_place(self) -> dict[Destination, list[Transfer]]:
        places: dict[Destination, list[Transfer]] = {}
        async for transfer in self.journal.given_up():
            places.setdefault(transfer.destination, []).append(transfer)
        return places

    async def _sweep(self, at: Destination, given_up: list[Transfer], *, looks_run: bool) -> None:
        store = await self.store_at(at)
        intents = [transfer for transfer in given_up if lacks_upload_id(transfer)]
        try:
            for transfer in given_up:
                if transfer not in intents and await self._ended(transfer, store, looks_run=looks_run):
                    await self.journal.abandon(transfer.id)
            if await self._find(at, intents, store):
                now = self.clock.now()
                await self._forget([intent for intent in intents if is_expired(intent, now)])
        except BucketMissing:
            _log.info("%s: the bucket is gone, and what was left in it", at)
            await self._forget(given_up)

    async def _ended(self, transfer: Transfer, store: ObjectStore, *, looks_run: bool) -> bool:
        """Whether nothing of `transfer` is left to be done: its upload was aborted, or must never be."""
        at, what = transfer.destination, Resolution.ABORT
        if uncertain(transfer):
            what = await resolution_of(transfer, store, self.clock.now())
        if what is Resolution.ABORT and transfer.progress.upload_id is not None:
            await self._abort(at, transfer.progress.upload_id, store)
        if what is Resolution.FINISH and not looks_run and not await self.look(transfer.item_id):
            await record_finished(transfer, store, self.journal, self.clock.now())
        return what in (Resolution.ABORT, Resolution.FORGET)

    async def _find(self, at: Destination, intents: list[Transfer], store: ObjectStore) -> bool:
        """Abort what the intents opened. The journal is asked after the store: an upload that was opened meanwhile is
        known by then, or its intent still waits for the id, and the key for the next sweep. False: that is so."""
        if not intents:
            return True
        found = [upload async for upload in store.list_uploads(at.bucket, at.key) if upload.key == at.key]
        now, running = self.clock.now(), await self.journal.unfinished_of(at.item_id)
        if any(lacks_upload_id(transfer) for transfer in running):
            return False
        known = {transfer.progress.upload_id for transfer in running}
        for upload in found:
            if upload.upload_id in known:
                continue
            if any(opened_for(intent, upload, now) for intent in intents):
                await self._abort(at, upload.upload_id, store)
            else:
                self._report(at, upload)
        return True

    async def _abort(self, at: Destination, upload_id: str, store: ObjectStore) -> None:
        await store.abort_upload(at, upload_id)
        self.observer(UploadAborted(item=None, bucket=at.bucket, key=at.key, upload_id=upload_id))

    async def _forget(self, given_up: list[Transfer]) -> None:
        for transfer in given_up:
            await self.journal.abandon(transfer.id)

    def _report(self, at: Destination, upload: Upload) -> None:
        words = "an upload stands open at %s that is not ours, and is left alone: %s"
        self._say_once(upload.upload_id, words, at, upload.upload_id)

    def _say_once(self, about: str, words: str, *values: object) -> None:
        if about not in self._said:
            self._said.add(about)
            _log.warning(words, *values)
