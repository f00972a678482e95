"""What comes after an upload where a folder says `after_upload`: prove, mark, let the file go, record what came of it.

Owns the order of these steps around a look at an item, in its own lane. A file goes only once the journal has a proven
copy of it and a HEAD after the write showed the object with its transfer's id and length; of an object that was merely
adopted the bytes are compared first. Where HEAD is refused the file stays. The record says that the file departs before
it does, so that a file which is gone was taken away by us whatever killed us. An item whose file left stays in sync.
What a kill left set aside is found by the folder's scans (`resume`). The file system's part is behind `Quarantine`.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from logging import getLogger
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.errors import (
    IntegrityError,
    KeyRefused,
    ReadbackMismatch,
    Reason,
    SourceChanged,
    SourceError,
    SourceTimedOut,
    StoreError,
)
from mirrord.events import ItemBlocked, ItemChanged
from mirrord.folders.binding import Binding
from mirrord.model import (
    Drift,
    FileIdentity,
    FileRemoval,
    Integrity,
    Item,
    KeepFile,
    MoveFile,
    Outcome,
    Record,
    Revision,
    State,
)
from mirrord.planning.decisions.decide import identifies_bytes
from mirrord.planning.decisions.file_removal import (
    RemovalResult,
    is_removed,
    kept_message,
    removed_message,
    why_lost,
    why_unproven,
)
from mirrord.planning.decisions.object_identity import with_shown_etag
from mirrord.ports import Clock, Found, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.records import is_news, with_outcome
from mirrord.reconcile.transfer_attempt import LONG_READBACK
from mirrord.scheduling.workers import Reconciles
from mirrord.transfer.budget import Budget
from mirrord.transfer.verify import (
    checksum_kinds,
    compare_content,
    has_recorded_bytes,
    object_checksums,
    read_checksums,
)
from mirrord.units import format_size

_log = getLogger(__name__)

AGAIN = 5.0
"""Seconds before a file that had to be put back is tried again: putting it back looks like a change of it."""
_MOST_PUT_BACK = 10_000


class Quarantine(Protocol):
    """The way of uploaded files out of a folder. `root` is the folder's path, `name` the file's, relative to it.

    Replaces nothing, and raises nothing because of what befalls files. Killed between any two steps, it leaves the file
    under its own name or set aside, where the folder's next scan finds it.
    """

    async def stands(self, root: str, name: str) -> bool:
        """Whether anything has that path now. Raises SourceTimedOut if the folder does not answer."""

    async def depart(self, root: str, name: str, proven: FileIdentity, move: str | None) -> RemovalResult:
        """Take the file away, if it is the proven one and nobody writes to it: into `move`, or, if that is None, for
        good. A file moved keeps its name relative to `root`, with a number if that is taken.
        """

    async def resume(self, root: str, name: str, proven: FileIdentity | None, move: str | None) -> RemovalResult:
        """Go on with a file that was set aside by one who was killed; None: nothing is proven, so it is put back."""


async def no_rival(item: Item) -> str:  # noqa: ARG001
    """`AfterUpload.rival` where there is one folder."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterUpload(Reconciles):
    """`reconcile` is the reconciler's, and lets the file go if its folder says so. Raises JournalError only."""

    looks: Reconciles
    asides: Quarantine
    journal: Journal
    store_of: Callable[[Item], Awaitable[ObjectStore]]
    source_of: Callable[[Item], Source]
    budget: Budget
    observer: Observer
    clock: Clock
    rival: Callable[[Item], Awaitable[str]] = no_rival
    """Why a folder's file must stay as it is, since another folder matches it; empty if none does. Raises
    SourceTimedOut if the folder does not answer."""
    _busy: set[str] = field(default_factory=set)
    _put_back: dict[str, float] = field(default_factory=dict)  # item id -> when (monotonic)

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        """One look at the item; its file goes if the object is proven to be its copy."""
        try:
            return await self._reconciled(item, failures)
        except SourceTimedOut:  # the folder does not answer, as the look says; the file stays
            return await self.looks.reconcile(item, failures)

    async def _reconciled(self, item: Item, failures: int) -> Outcome:
        if not item.options.suspend and (why := await self.rival(item)) and await self.asides.stands(*_place(item)):
            return await self._conflict(item, why)
        if not item.removes_file or item.options.suspend:
            return await self.looks.reconcile(item, failures)
        before = await self.journal.record(item.id)
        is_gone = before is not None and is_removed(before) and not await self.asides.stands(*_place(item))
        if before is not None and is_gone and not await self.journal.unfinished_of(item.id):
            return await self._left(item, before)
        outcome = await self.looks.reconcile(item, failures)
        if outcome.state is not State.SYNCED or outcome.pruned or item.id in self._busy:
            return outcome
        with self._lane(item):
            return await self._depart(item, outcome, before.condition.message if before else "")

    async def resume(self, spec: FolderSpec, found: Sequence[Found]) -> None:
        """Go on with files of a folder that a scan found set aside, unless they are on their way now."""
        for one, item in await Binding(spec, self.journal).items(found):
            if isinstance(item, KeyRefused):
                await self.asides.resume(spec.path, one.name, None, None)
            elif item.id not in self._busy:
                with self._lane(item):
                    await self._resume(item)

    async def _conflict(self, item: Item, why: str) -> Outcome:
        """The file stays and is not copied: another folder needs it, too."""
        outcome = Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=why)
        record = await self.journal.record(item.id)
        if is_news(record, outcome):
            await self.journal.save(with_outcome(item, record, outcome, self.clock.now()))
            self.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=why))
            self.observer(ItemChanged(item=item, state=outcome.state, reason=outcome.reason, message=why))
        return outcome

    @contextmanager
    def _lane(self, item: Item) -> Iterator[None]:
        self._busy.add(item.id)
        try:
            yield
        finally:
            self._busy.discard(item.id)

    # ── a file that is to go ──────────────────────────────────────────────────────────────────────
    async def _depart(self, item: Item, outcome: Outcome, message: str) -> Outcome:
        record = await self.journal.record(item.id)
        if record is None or self._too_soon(item):
            return outcome
        if why := why_unproven(record):
            return await self._note(item, record, RemovalResult(why=why), message)
        try:
            if outcome.copied is None or not outcome.copied.etag_from_head:
                record = await self._still_proven(item, record)
        except ReadbackMismatch as error:
            return await self._doubted(item, record, error)
        except (StoreError, SourceError, IntegrityError) as error:
            return await self._note(item, record, RemovalResult(why=str(error)), message)
        record, file = await self._marked(record)
        return await self._note(item, record, await self.asides.depart(*_place(item), file, _move(item)), message)

    async def _marked(self, record: Record) -> tuple[Record, FileIdentity]:
        """The record, saying that the file departs; and the file that was proven."""
        revision = record.revision
        if revision is None or revision.file is None:
            raise AssertionError("it is not proven")
        if not revision.departs:
            record = replace(record, revision=replace(revision, departs=True))
            await self.journal.save(record)
        return record, revision.file

    async def _still_proven(self, item: Item, record: Record) -> Record:
        """The record, if the object is as recorded and known to hold the file's bytes. Raises what says otherwise."""
        store = await self.store_of(item)
        standing = await store.head_object(item.destination)
        if why := why_lost(record, standing):
            raise SourceChanged(why)
        if record.object.integrity is not None:
            return record if standing is None else with_shown_etag(record, standing)
        async with self.source_of(item) as source:
            observed = await source.probe()
            if observed is None or record.revision is None or observed.revision.file != record.revision.file:
                raise SourceChanged("it changed since it was looked at")
            if identifies_bytes(record) and await has_recorded_bytes(source, observed, record, self.budget):
                return replace(record, object=replace(record.object, integrity=Integrity.FULL_OBJECT))
            record = await self._reading_back(item, record)
            kinds = checksum_kinds(record)
            async with source.open(observed) as stream:
                file = await read_checksums(stream, kinds, self.budget)
            await source.confirm(observed)
        verdict = compare_content(record, await object_checksums(store, item.destination, kinds, self.budget), file)
        if verdict.differs:
            raise ReadbackMismatch(verdict.differs)
        return replace(record, object=replace(record.object, integrity=Integrity.READBACK))

    async def _reading_back(self, item: Item, record: Record) -> Record:
        """The record, saying that an adopted object is read back, if that takes a while."""
        if (record.object.size or 0) <= LONG_READBACK:
            return record
        says = f"{format_size(record.object.size or 0)} are now read back: the store showed no checksum of them"
        record = replace(record, condition=replace(record.condition, message=says))
        await self.journal.save(record)
        _log.info("%s: %s", item.destination, record.condition.message, extra={"item": item.id})
        self.observer(ItemChanged(item=item, state=record.condition.state, message=record.condition.message))
        return record

    async def _doubted(self, item: Item, record: Record, error: ReadbackMismatch) -> Outcome:
        """What was adopted holds other bytes: it is of no revision, so the next look writes it."""
        outcome = Outcome(state=State.RETRYING, reason=error.reason, message=str(error), retry_in=1.0)
        nothing = None if record.revision is None else Revision(address=record.revision.address)
        await self.journal.save(replace(with_outcome(item, record, outcome, self.clock.now()), revision=nothing))
        return outcome

    def _too_soon(self, item: Item) -> bool:
        return self.clock.monotonic() < self._put_back.get(item.id, 0.0)

    async def _note(self, item: Item, record: Record, departure: RemovalResult, message: str) -> Outcome:
        """Record what came of it; what the record said before, in `message`, is not said aloud again."""
        revision, says = record.revision, ""
        if departure.gone:
            says = removed_message(departure.at)
        elif departure.why:
            says = kept_message(_removal(item), departure.why)
            revision = replace(revision, departs=None, file=departure.file or revision.file) if revision else None
            if departure.file is not None:
                self._wait(item)
        if says and says != message:
            _log.log(30 if departure.why else 20, "%s: %s", item.shown_source, says, extra={"item": item.id})
        noted = replace(record, revision=revision, condition=replace(record.condition, message=says))
        known = await self.journal.record(item.id)
        if noted != known or _departs(noted) != _departs(known):
            await self.journal.save(noted)
        if noted != known:
            self.observer(ItemChanged(item=item, state=noted.condition.state, message=says))
        return Outcome(state=State.SYNCED, message=says)

    def _wait(self, item: Item) -> None:
        if len(self._put_back) >= _MOST_PUT_BACK:
            self._put_back.clear()
        self._put_back[item.id] = self.clock.monotonic() + AGAIN

    # ── a file that was on its way when we were killed ────────────────────────────────────────────
    async def _resume(self, item: Item) -> None:
        record = await self.journal.record(item.id)
        try:
            proven = await self._proven(item, record)
        except (StoreError, SourceTimedOut):
            return  # it stays where it is: the next scan finds it again
        file = proven.revision.file if proven is not None and proven.revision is not None else None
        departure = await self.asides.resume(*_place(item), file, _move(item))
        if proven is not None and (departure.gone or departure.why):
            await self._note(item, proven, departure, proven.condition.message)

    async def _proven(self, item: Item, record: Record | None) -> Record | None:
        """The record, if by it the file may go."""
        if not item.removes_file or item.options.suspend or why_unproven(record) or await self.rival(item):
            return None
        if record is None or record.object.integrity is None:
            return None
        store = await self.store_of(item)
        return None if why_lost(record, await store.head_object(item.destination)) else record

    # ── a file that is gone ───────────────────────────────────────────────────────────────────────
    async def _left(self, item: Item, record: Record) -> Outcome:
        """The file left after its upload: the item is in sync as long as its object stands. Nothing can mend it."""
        why = None
        if item.options.drift is not Drift.IGNORE:
            try:
                store = await self.store_of(item)
                why = why_lost(record, await store.head_object(item.destination))
            except StoreError:  # nothing is known to have changed
                return Outcome(
                    state=record.condition.state, reason=record.condition.reason, message=record.condition.message
                )
        outcome = Outcome(state=State.SYNCED, message=record.condition.message)
        if why:
            outcome = Outcome(state=State.BLOCKED, reason=Reason.DRIFTED, message=f"{why}, and its file has left")
            self.observer(ItemBlocked(item=item, reason=Reason.DRIFTED, message=outcome.message))
        elif record.condition.state is not State.SYNCED:
            outcome = Outcome(state=State.SYNCED, message="uploaded, its file has left")
        if is_news(record, outcome):
            await self.journal.save(with_outcome(item, record, outcome, self.clock.now()))
            self.observer(ItemChanged(item=item, state=outcome.state, reason=outcome.reason, message=outcome.message))
        return outcome


def _place(item: Item) -> tuple[str, str]:
    """The folder's path, and the file's name in it."""
    file = item.folder_file
    if file is None or file.root is None:
        raise AssertionError(f"{item.shown_source} is no file of a folder")
    return file.root, file.name


def _departs(record: Record | None) -> bool | None:
    return record.revision.departs if record is not None and record.revision is not None else None


def _removal(item: Item) -> FileRemoval:
    assert not isinstance(item.after_upload, KeepFile)
    return item.after_upload


def _move(item: Item) -> str | None:
    return item.after_upload.directory if isinstance(item.after_upload, MoveFile) else None
