"""The sweep: abort the uploads of mirrord that have no running transfer any more, whatever the cause.

Owns the end of transfers that were given up: an abort that failed is tried again; an upload whose id is not in the
journal (kill -9, or a lost answer, between Create and the journal) is found by its key and its start time; one that may
still be completed waits until it cannot (`uncertain`). Never touches another upload: one at a key of mirrord that the
journal does not explain is reported once, because it may be another program's. `planning.transfers.sweep` decides which
uploads are mirrord's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from datetime import UTC, datetime
from logging import getLogger

from mirrord.aio import drain, finish
from mirrord.errors import BucketMissing, JournalError, OutcomeUnknown, StoreError, StoreUnavailable
from mirrord.events import UploadAborted
from mirrord.frozen import frozen
from mirrord.model import Destination, Transfer, Upload
from mirrord.planning.transfers.sweep import is_expired, lacks_upload_id, opened_for, uncertain, window_ends
from mirrord.ports import Clock, Journal, ObjectStore, Observer
from mirrord.reconcile.uncertain import Resolution, resolution_of
from mirrord.reconcile.unfinished import record_finished

_log = getLogger(__name__)

SWEEP_EVERY = 300.0
"""Longest pause in seconds between two sweeps of a daemon, and so the longest wait for the repeat of an abort. If no
transfer was given up, a sweep costs one query of the journal."""
SHORTEST_PAUSE = 1.0
PAUSE_FOR_AN_ID = 5.0
"""Pause in seconds if a transfer that is opening its upload now hid whether another one is ours."""
RETURNS = 3600.0
"""Seconds in which an item that left the manifests may return and resume its upload."""
COPY_ENTRY = "copy"
"""Entry of the items of `mirrord copy`, which are in no manifest."""
COPY_RETURNS = 86_400.0
"""Seconds in which a `copy` that failed may be repeated and resume its upload."""

StoreAt = Callable[[Destination], Awaitable[ObjectStore]]
"""The open store of an object. Raises StoreError, also if no store of that name and endpoint is declared any more."""
CheckNow = Callable[[str], Awaitable[bool]]
"""Check the item with this id now. False: it is not in force in this program."""
MOST_LISTED = 10


async def _never(_item_id: str) -> bool:
    return False


@frozen(kw_only=True)
class UploadSweeper:
    """Sweeps of one process. Call `begin` before any transfer runs, `sweep` at any time, also while transfers run."""

    journal: Journal
    store_at: StoreAt
    observer: Observer
    clock: Clock
    check: CheckNow = _never
    _reported: set[str] = field(default_factory=set)
    """Uploads and keys that were reported; each is reported once."""

    async def begin(self) -> None:
        """Give up transfers whose upload an earlier process requested and did not record. Sends no request."""
        async for transfer in self.journal.unfinished():
            if lacks_upload_id(transfer):
                await self.journal.give_up(transfer.id, self.clock.now())

    async def run(self) -> None:
        """Sweep on a timer, until cancelled. Raises JournalError."""
        while True:
            complete = await self.sweep()
            await self.clock.sleep(await self._pause() if complete else PAUSE_FOR_AN_ID)

    async def _pause(self) -> float:
        """Seconds until the next sweep: at the latest when the first upload can no longer be completed."""
        now = self.clock.now()
        ends = [ends - now async for one in self.journal.given_up() if (ends := window_ends(one)) and ends > now]
        return max(SHORTEST_PAUSE, min([SWEEP_EVERY, *ends]))

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """For programs that end: sweep while the block runs and, if it did not fail, once more after it. Then report
        the uploads that may still be completed."""
        task = asyncio.create_task(self.sweep(checks_run=True), name="sweep")
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
        """Log the uploads that are left open because it is unknown whether they were completed."""
        left = [one async for one in self.journal.given_up() if uncertain(one)]
        left += [one async for one in self.journal.unfinished() if uncertain(one)]
        for one in left[:MOST_LISTED]:
            asked = datetime.fromtimestamp(one.progress.complete_requested or 0.0, UTC).isoformat(timespec="seconds")
            words = "the upload %s of %s is left open: its completion was asked for at %s and the outcome is unknown; "
            _log.warning(words + "the next start settles it", one.progress.upload_id, one.destination, asked)
        if len(left) > MOST_LISTED:
            _log.warning("and %d more uploads of unknown outcome", len(left) - MOST_LISTED)

    async def sweep(self, *, checks_run: bool = False) -> bool:
        """Sweep every transfer that was given up, once. After an error of a store, the next sweep repeats it.

        `checks_run`: the items are being checked, which ends the transfers that turn out to be finished. False: at the
        key of an unrecorded upload another one is being opened; soon its id is known, and a sweep can tell them apart.
        """
        await self._give_up_removed()
        unavailable: set[str] = set()
        complete = True
        for at, given_up in (await self._by_destination()).items():
            if at.store in unavailable:
                continue
            try:
                complete &= await self._sweep(at, given_up, checks_run=checks_run)
            except (StoreUnavailable, OutcomeUnknown) as error:
                unavailable.add(at.store)
                _log.info("uploads at store %r cannot be swept now: %s", at.store, error)
            except StoreError as error:
                self._report_once(str(at), "uploads of ours at %s cannot be swept: %s", at, error)
        return complete

    async def _give_up_removed(self) -> None:
        """Give up parts that were kept for an item which then left the manifests: no attempt will use them."""
        async for transfer in self.journal.unfinished():
            record = await self.journal.record(transfer.item_id)
            if record is None or (left := record.removed) is None:
                continue
            if self.clock.now() - left > (COPY_RETURNS if record.entry == COPY_ENTRY else RETURNS):
                await self.journal.give_up(transfer.id, self.clock.now())

    async def _by_destination(self) -> dict[Destination, list[Transfer]]:
        found: dict[Destination, list[Transfer]] = {}
        async for transfer in self.journal.given_up():
            found.setdefault(transfer.destination, []).append(transfer)
        return found

    async def _sweep(self, at: Destination, given_up: list[Transfer], *, checks_run: bool) -> bool:
        """As `sweep`, for one object."""
        store = await self.store_at(at)
        intents = [transfer for transfer in given_up if lacks_upload_id(transfer)]
        try:
            for transfer in given_up:
                if transfer not in intents and await self._ended(transfer, store, checks_run=checks_run):
                    await self.journal.abandon(transfer.id)
            if not await self._abort_unrecorded(at, intents, store):
                return False
            now = self.clock.now()
            await self._forget([intent for intent in intents if is_expired(intent, now)])
        except BucketMissing:
            _log.info("%s: the bucket is gone, and what was left in it", at)
            await self._forget(given_up)
        return True

    async def _ended(self, transfer: Transfer, store: ObjectStore, *, checks_run: bool) -> bool:
        """Whether `transfer` can be forgotten: its upload was aborted, or must never be aborted."""
        at, resolution = transfer.destination, Resolution.ABORT
        if uncertain(transfer):
            resolution = await resolution_of(transfer, store, self.clock.now())
        if resolution is Resolution.ABORT and transfer.progress.upload_id is not None:
            await self._abort(at, transfer.progress.upload_id, store)
        if resolution is Resolution.FINISH and not checks_run and not await self.check(transfer.item_id):
            await record_finished(transfer, store, self.journal, self.clock.now())
        return resolution in (Resolution.ABORT, Resolution.FORGET)

    async def _abort_unrecorded(self, at: Destination, intents: list[Transfer], store: ObjectStore) -> bool:
        """Abort the uploads that the intents opened. False: one still waits for its id, so the next sweep repeats it.

        The journal is read after the store's list: by then an upload that was opened meanwhile is in the journal, or
        its intent is.
        """
        if not intents:
            return True
        found = [upload async for upload in store.list_uploads(at.bucket, at.key) if upload.key == at.key]
        now = self.clock.now()
        # also those of other processes on this journal
        running = [one for one in await self.journal.open_of(at.item_id) if one.progress.given_up is None]
        if any(lacks_upload_id(transfer) for transfer in running):
            return False
        known = {transfer.progress.upload_id for transfer in running}
        for upload in found:
            if upload.upload_id in known:
                continue
            if any(opened_for(intent, upload, now) for intent in intents):
                await self._abort(at, upload.upload_id, store)
            else:
                self._report_foreign(at, upload)
        return True

    async def _abort(self, at: Destination, upload_id: str, store: ObjectStore) -> None:
        await store.abort_upload(at, upload_id)
        self.observer(UploadAborted(item=None, bucket=at.bucket, key=at.key, upload_id=upload_id))

    async def _forget(self, given_up: list[Transfer]) -> None:
        for transfer in given_up:
            await self.journal.abandon(transfer.id)

    def _report_foreign(self, at: Destination, upload: Upload) -> None:
        words = "an upload is open at %s that is not ours, and is left alone: %s"
        self._report_once(upload.upload_id, words, at, upload.upload_id)

    def _report_once(self, about: str, words: str, *values: object) -> None:
        if about not in self._reported:
            self._reported.add(about)
            _log.warning(words, *values)
