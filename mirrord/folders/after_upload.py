"""The steps after an upload in a folder with `after_upload`: prove the copy, mark the record, remove the file, record
it.

Owns the order of these steps, after the check of an item. A file is removed only when the journal has a proven copy and
a HEAD after the write showed the object with its transfer id and length. For an adopted object, the bytes are compared
first. If HEAD is refused, the file remains. The record is marked before the file is removed, so after a kill a missing
file is known as removed by mirrord. An item whose file was removed stays in sync. Folder scans find files that a kill
left set aside (`resume`). The file operations are behind `Quarantine`.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from logging import getLogger
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.errors import (
    IntegrityError,
    KeyRefused,
    ReadbackMismatch,
    Reason,
    SourceError,
    SourceTimedOut,
    StoreError,
)
from mirrord.events import ItemBlocked, ItemChanged
from mirrord.folders.binding import Binding
from mirrord.folders.copy_proof import CopyProof
from mirrord.frozen import frozen
from mirrord.model import (
    Drift,
    FileIdentity,
    FileRemoval,
    Item,
    KeepFile,
    MoveFile,
    Outcome,
    Record,
    Revision,
    State,
)
from mirrord.planning.decisions.file_removal import (
    RemovalResult,
    is_removed,
    kept_message,
    removed_message,
    why_lost,
    why_unproven,
)
from mirrord.ports import Clock, Found, Journal, Observer
from mirrord.reconcile.records import is_news, with_outcome
from mirrord.scheduling.workers import Reconciles

_log = getLogger(__name__)

AGAIN = 5.0
"""Seconds until the removal of a file that was put back is tried again: putting it back looks like a change."""
_MOST_PUT_BACK = 10_000


class Quarantine(Protocol):
    """Removes uploaded files from a folder. `root` is the folder's path, `name` the file's name, relative to it.

    Never replaces a file. Errors of files are returned, not raised. A kill between two steps leaves the file under its
    own name, or set aside, where the folder's next scan finds it.
    """

    async def exists(self, root: str, name: str) -> bool:
        """Whether anything exists at that path now. Raises SourceTimedOut if the folder does not answer."""

    async def remove(self, root: str, name: str, proven: FileIdentity, move: str | None) -> RemovalResult:
        """Remove the file, if it is the proven one and no process has it open for writing: move it to the directory
        `move`, or delete it (None). A moved file keeps its name relative to `root`, with a number if the name is taken.
        """

    async def resume(self, root: str, name: str, proven: FileIdentity | None, move: str | None) -> RemovalResult:
        """Finish the removal of a file that was set aside before a kill. `proven` None: no proof, so it is put back."""


class _Removals:
    """Which removals run now, and which files were put back. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.busy: set[str] = set()
        """The ids of items whose files are being removed."""
        self._not_before: dict[str, float] = {}

    @contextmanager
    def removing(self, item_id: str) -> Iterator[None]:
        """The file of this item is being removed."""
        self.busy.add(item_id)
        try:
            yield
        finally:
            self.busy.discard(item_id)

    def put_back(self, item_id: str, now: float) -> None:
        """The file was put back: do not try again too soon."""
        if len(self._not_before) >= _MOST_PUT_BACK:
            self._not_before.clear()
        self._not_before[item_id] = now + AGAIN

    def is_too_soon(self, item_id: str, now: float) -> bool:
        """Whether the file was put back less than `AGAIN` seconds ago."""
        return now < self._not_before.get(item_id, 0.0)


async def no_rival(item: Item) -> str | None:  # noqa: ARG001 - the signature of `rival`
    """`AfterUpload.rival` where there is one folder."""
    return None


@frozen(kw_only=True)
class AfterUpload(Reconciles):
    """`reconcile` checks an item like the reconciler, then removes its file if the folder has `after_upload`. Raises
    JournalError only."""

    reconciler: Reconciles
    quarantine: Quarantine
    journal: Journal
    proof: CopyProof
    observer: Observer
    clock: Clock
    rival: Callable[[Item], Awaitable[str | None]] = no_rival
    """Why a folder's file must remain as it is, since another folder matches it; None if none does. Raises
    SourceTimedOut if the folder does not answer."""
    _state: _Removals = field(default_factory=_Removals)

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        """Check the item; remove its file if the object is proven to be its copy."""
        removes = item.removes_file and not item.options.suspend
        before = await self.journal.record(item.id) if removes else None
        try:
            if (unchecked := await self._without_check(item, before)) is not None:
                return unchecked
        except SourceTimedOut:  # the folder does not answer, as the check reports; the file remains
            removes = False
        outcome = await self.reconciler.reconcile(item, failures)
        if not removes or outcome.state is not State.SYNCED or outcome.pruned or item.id in self._state.busy:
            return outcome
        with self._state.removing(item.id):
            removed = await self._remove(item, outcome, before.condition.message if before else "")
        return replace(outcome, message=removed.message) if removed.state is State.SYNCED else removed

    async def _without_check(self, item: Item, before: Record | None) -> Outcome | None:
        """The outcome of an item that is not checked: another folder needs its file, or the file was removed."""
        if (
            not item.options.suspend
            and (why := await self.rival(item))
            and await self.quarantine.exists(*_file_of(item))
        ):
            return await self._conflict(item, why)
        if before is None or not is_removed(before) or await self.quarantine.exists(*_file_of(item)):
            return None
        return None if await self.journal.unfinished_of(item.id) else await self._left(item, before)

    async def resume(self, spec: FolderSpec, found: Sequence[Found]) -> None:
        """Finish the removal of files that a scan found set aside, unless a removal runs now."""
        for one, item in await Binding(spec, self.journal).items(found):
            if isinstance(item, KeyRefused):
                await self.quarantine.resume(spec.path, one.name, None, None)
            elif item.id not in self._state.busy:
                with self._state.removing(item.id):
                    await self._resume(item)

    async def _conflict(self, item: Item, why: str) -> Outcome:
        """The file remains and is not copied: another folder uses it, too."""
        outcome = Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=why)
        record = await self.journal.record(item.id)
        if is_news(record, outcome):
            await self.journal.save(with_outcome(item, record, outcome, self.clock.now()))
            self.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=why))
            self.observer(ItemChanged(item=item, state=outcome.state, reason=outcome.reason, message=why))
        return outcome

    # ── removal ───────────────────────────────────────────────────────────────────────────────────
    async def _remove(self, item: Item, outcome: Outcome, message: str) -> Outcome:
        record = await self.journal.record(item.id)
        if record is None or self._state.is_too_soon(item.id, self.clock.monotonic()):
            return outcome
        if why := why_unproven(record):
            return await self._note(item, record, RemovalResult(why=why), message)
        try:
            if outcome.copied is None or not outcome.copied.etag_from_head:
                record = await self.proof.prove(item, record)
        except ReadbackMismatch as error:
            return await self._doubted(item, record, error)
        except (StoreError, SourceError, IntegrityError) as error:
            return await self._note(item, record, RemovalResult(why=str(error)), message)
        record, file = await self._marked(record)
        return await self._note(item, record, await self.quarantine.remove(*_file_of(item), file, _move(item)), message)

    async def _marked(self, record: Record) -> tuple[Record, FileIdentity]:
        """Mark the record, so that the file may be removed. Returns the record, and the file that was proven."""
        revision = record.revision
        if revision is None or revision.file is None:
            raise AssertionError("the copy is not proven")
        if not revision.departs:
            record = replace(record, revision=replace(revision, departs=True))
            await self.journal.save(record)
        return record, revision.file

    async def _doubted(self, item: Item, record: Record, error: ReadbackMismatch) -> Outcome:
        """The adopted object has other bytes: it is recorded without a revision, so the next check writes it."""
        outcome = Outcome(state=State.RETRYING, reason=error.reason, message=str(error), retry_in=1.0)
        nothing = None if record.revision is None else Revision(address=record.revision.address)
        await self.journal.save(replace(with_outcome(item, record, outcome, self.clock.now()), revision=nothing))
        return outcome

    async def _note(self, item: Item, record: Record, result: RemovalResult, message: str) -> Outcome:
        """Record the result of the removal. `message`, that of the record before, is not logged again."""
        revision, text = record.revision, ""
        if result.gone:
            text = removed_message(result.at)
        elif result.why:
            text = kept_message(_removal(item), result.why)
            revision = replace(revision, departs=None, file=result.file or revision.file) if revision else None
            if result.file is not None:
                self._state.put_back(item.id, self.clock.monotonic())
        if text and text != message:
            _log.log(30 if result.why else 20, "%s: %s", item.shown_source, text, extra={"item": item.id})
        noted = replace(record, revision=revision, condition=replace(record.condition, message=text))
        known = await self.journal.record(item.id)
        if noted != known or _departs(noted) != _departs(known):
            await self.journal.save(noted)
        if noted != known:
            self.observer(ItemChanged(item=item, state=noted.condition.state, message=text))
        return Outcome(state=State.SYNCED, message=text)

    # ── a removal that a kill interrupted ─────────────────────────────────────────────────────────
    async def _resume(self, item: Item) -> None:
        record = await self.journal.record(item.id)
        try:
            proven = await self._proven(item, record)
        except (StoreError, SourceTimedOut):
            return  # it remains set aside: the next scan finds it again
        file = proven.revision.file if proven is not None and proven.revision is not None else None
        result = await self.quarantine.resume(*_file_of(item), file, _move(item))
        if proven is not None and (result.gone or result.why):
            await self._note(item, proven, result, proven.condition.message)

    async def _proven(self, item: Item, record: Record | None) -> Record | None:
        """The record, if it allows the removal of the file; else None."""
        if not item.removes_file or item.options.suspend or why_unproven(record) or await self.rival(item):
            return None
        if record is None or record.object.integrity is None:
            return None
        store = await self.proof.store_of(item)
        return None if why_lost(record, await store.head_object(item.destination)) else record

    # ── a file that was removed ───────────────────────────────────────────────────────────────────
    async def _left(self, item: Item, record: Record) -> Outcome:
        """The file was removed after its upload: the item is in sync while its object exists. It cannot be repaired."""
        why = None
        if item.options.drift is not Drift.IGNORE:
            try:
                store = await self.proof.store_of(item)
                why = why_lost(record, await store.head_object(item.destination))
            except StoreError:  # no change is known
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


def _file_of(item: Item) -> tuple[str, str]:
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
