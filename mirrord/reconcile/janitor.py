"""The sweep: uploads of ours that outlived their transfers are removed from the stores, however they came to be left.

Owns what becomes of transfers that were given up: an abort that failed is tried again; an upload whose id nobody knows
(kill -9, or an answer lost, between Create and the journal) is found by its key and by when it began. Refuses to touch
any other upload: one at our key that the journal does not explain is reported once, for it may be another program's.
Which of them is ours is `planning.sweep`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.aio import drain
from mirrord.errors import BucketMissing, OutcomeUnknown, StoreError, StoreUnavailable
from mirrord.events import UploadAborted
from mirrord.model import Destination, Transfer, Upload
from mirrord.planning.sweep import nameless, ours, past
from mirrord.ports import Clock, Journal, ObjectStore, Observer

_log = getLogger(__name__)

SWEEP_EVERY = 3600.0
"""Seconds between two sweeps of a daemon. Where nothing was given up, one costs a question to the journal."""
RETURNS = 3600.0
"""Seconds in which an item that left the manifests may come back and go on with its upload."""

StoreAt = Callable[[Destination], Awaitable[ObjectStore]]
"""The open store of a place. Raises StoreError, also where no store of that name and endpoint is declared any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    """Sweeps for one process. `begin` before any transfer runs, `sweep` at any time, beside them."""

    journal: Journal
    store_at: StoreAt
    observer: Observer
    clock: Clock
    _said: set[str] = field(default_factory=set)
    """Uploads and keys that were reported: once is enough."""

    async def begin(self) -> None:
        """What an earlier process asked to open and did not live to record is given up. Asks no store."""
        async for transfer in self.journal.unfinished():
            if nameless(transfer):
                await self.journal.give_up(transfer.id, self.clock.now())

    async def run(self) -> None:
        """Sweep now and on a timer, for ever. Raises JournalError."""
        while True:
            await self.sweep()
            await self.clock.sleep(SWEEP_EVERY)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """For programs that end: sweep while the block runs and, unless it failed, once more after it."""
        task = asyncio.create_task(self.sweep(), name="sweep")
        try:
            yield
            await task
        finally:
            await drain([task])
        await self.sweep()

    async def sweep(self) -> None:
        """One pass over all that was given up. What a store refuses, or cannot be asked, stays for the next pass."""
        await self._give_up_what_left()
        silent: set[str] = set()
        for at, given_up in (await self._by_place()).items():
            if at.store in silent:
                continue
            try:
                await self._sweep(at, given_up)
            except (StoreUnavailable, OutcomeUnknown) as error:
                silent.add(at.store)
                _log.info("uploads at store %r cannot be swept now: %s", at.store, error)
            except StoreError as error:
                self._say_once(str(at), "uploads of ours at %s cannot be swept: %s", at, error)

    async def _give_up_what_left(self) -> None:
        """Parts that were kept for an item which then left the manifests: nobody will ask for them."""
        async for transfer in self.journal.unfinished():
            record = await self.journal.record(transfer.item_id)
            left = None if record is None else record.removed
            if left is not None and self.clock.now() - left > RETURNS:
                await self.journal.give_up(transfer.id, self.clock.now())

    async def _by_place(self) -> dict[Destination, list[Transfer]]:
        places: dict[Destination, list[Transfer]] = {}
        async for transfer in self.journal.given_up():
            places.setdefault(transfer.destination, []).append(transfer)
        return places

    async def _sweep(self, at: Destination, given_up: list[Transfer]) -> None:
        store = await self.store_at(at)
        try:
            for transfer in given_up:
                if transfer.upload_id is not None:
                    await self._abort(at, transfer.upload_id, store)
            await self._find(at, [transfer for transfer in given_up if nameless(transfer)], store)
        except BucketMissing:
            _log.info("%s: the bucket is gone, and what was left in it", at)
            await self._forget(given_up)
            return
        now = self.clock.now()
        await self._forget([transfer for transfer in given_up if not nameless(transfer) or past(transfer, now)])

    async def _find(self, at: Destination, intents: list[Transfer], store: ObjectStore) -> None:
        """Abort what the intents opened. The journal is asked after the store: an upload that was opened meanwhile is
        known by then, or its intent still waits for the id, and the key for the next sweep."""
        if not intents:
            return
        found = [upload async for upload in store.list_uploads(at.bucket, at.key) if upload.key == at.key]
        now, running = self.clock.now(), await self.journal.unfinished_of(at.item_id)
        if any(nameless(transfer) for transfer in running):
            return
        known = {transfer.upload_id for transfer in running}
        for upload in found:
            if upload.upload_id in known:
                continue
            if any(ours(intent, upload, now) for intent in intents):
                await self._abort(at, upload.upload_id, store)
            else:
                self._report(at, upload)

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
