"""The record of an item after a check. Pure.

Owns the mapping from outcomes to records: a failure never deletes what is recorded of the object at the key.
"""

from dataclasses import replace
from functools import lru_cache

from mirrord.errors import Reason
from mirrord.model import (
    META_TRANSFER,
    Condition,
    Copied,
    Drift,
    Integrity,
    Item,
    Observed,
    Outcome,
    Record,
    RecordedObject,
    Revision,
    State,
    StoredObject,
    Transfer,
)
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import adopted, options_digest
from mirrord.planning.decisions.fallbacks import Relation, relation
from mirrord.planning.decisions.identity import same_state

LEFT = "it left the manifests: its object will be deleted"
"""The message in the record of an item whose object is to be deleted."""
_SYNCED = Outcome(state=State.SYNCED)


def with_outcome(item: Item, record: Record | None, outcome: Outcome, now: float) -> Record:
    """The item's record with a new state, in force; revision and object stay as they were."""
    revision, known = (record.revision, record.object) if record else (None, RecordedObject())
    return _in_force(item, _condition(record, outcome, now), revision, known)


def _condition(record: Record | None, outcome: Outcome, now: float) -> Condition:
    same = record is not None and record.condition.state is outcome.state
    return Condition(
        state=outcome.state,
        reason=outcome.reason,
        message=outcome.message,
        since=record.condition.since if record and same else now,
        next_check=None if outcome.retry_in is None else now + outcome.retry_in,
    )


def _in_force(item: Item, condition: Condition, revision: Revision | None, known: RecordedObject) -> Record:
    return Record(
        item_id=item.id,
        entry=item.entry,
        source=item.shown_source_of(revision),
        destination=item.destination,
        condition=condition,
        revision=revision,
        object=known,
        dated=item.dated,
    )


def with_copy(item: Item, record: Record | None, copied: Copied, now: float, digest: str | None = None) -> Record:
    """The record of an item whose object was just written and proven. `digest`: of its options, if it is known."""
    revision, departs = copied.revision, True if item.removes_file else None
    if revision.departs is not departs:
        revision = replace(revision, departs=departs)
    written = _written(copied, digest or options_digest(item.options.object), now)
    condition = _condition(record, _SYNCED, now) if record else _first_synced(now)
    return _in_force(item, condition, revision, written)


def with_new_lock(item: Item, record: Record, now: float) -> Record:
    """The record of an item whose object stays, and got the lock of its present options."""
    synced = with_outcome(item, record, _SYNCED, now)
    return replace(synced, object=replace(record.object, options_digest=options_digest(item.options.object)))


@lru_cache(maxsize=1)  # of all records of a commit
def _first_synced(now: float) -> Condition:
    return _condition(None, _SYNCED, now)


def with_finished(record: Record, transfer: Transfer, copied: Copied, now: float) -> Record:
    """The record of an item that is not checked here, whose object `transfer` wrote."""
    proven = copied.integrity is not Integrity.LENGTH
    written = _written(copied, transfer.options_digest, now)
    return replace(
        record,
        revision=copied.revision if proven else Revision(address=copied.revision.address),
        object=written if proven else replace(written, integrity=None),
    )


def with_restored(record: Record, version_id: str, copied: Copied, written_with: str | None, now: float) -> Record:
    """The record of an item of which a version was made current: that is its object, as if it had the source's present
    revision. A suspended item stays suspended, and so do failures of the source. `written_with`: the digest of its
    options."""
    condition = record.condition
    if condition.reason is Reason.DRIFTED:
        condition = _condition(record, _SYNCED, now)
    known = _written(copied, written_with, now)
    return replace(record, condition=condition, revision=restored_revision(record, version_id), object=known)


def restored_revision(record: Record, version_id: str) -> Revision:
    """The present revision of the source, for an object that is a version made current. Raises ValueError if none is
    recorded."""
    if record.revision is None:
        raise ValueError("the item was never in sync")
    return replace(record.revision, restored=version_id, departs=None)


def _written(copied: Copied, written_with: str | None, now: float) -> RecordedObject:
    return RecordedObject(
        transfer_id=copied.transfer_id,
        etag=copied.etag,
        etag_from_head=copied.etag_from_head,
        size=copied.size,
        checksum=copied.checksum,
        integrity=copied.integrity,
        synced_at=now,
        options_digest=written_with,
    )


def with_other_bytes(item: Item, copied: Copied, now: float) -> Record:
    """The record of an object that holds other bytes: without a revision, so it is never adopted, and the next check
    writes it again."""
    nothing = replace(copied, revision=Revision(address=copied.revision.address))
    record = with_copy(item, None, nothing, now)
    return replace(
        record,
        condition=replace(record.condition, state=State.RETRYING),
        object=replace(record.object, integrity=None),
    )


def with_adopted(
    item: Item, observed: Observed, stored: StoredObject, now: float, same: SameBytes | None = None
) -> Record:
    """The record of an object that already held this revision: the journal was lost, or another tool wrote it. `same`:
    what its bytes were compared by, if not by the validator in its metadata."""
    revision, checksum = adopted(observed.revision, stored), stored.checksum
    if same is not None:
        revision = replace(revision, digest=same.digest or revision.digest)
        checksum = same.checksum or checksum
    return replace(
        with_outcome(item, None, Outcome(state=State.SYNCED), now),
        revision=revision,
        object=RecordedObject(
            transfer_id=stored.metadata.get(META_TRANSFER),
            etag=stored.etag,
            etag_from_head=True,
            size=stored.size,
            checksum=checksum,
            synced_at=stored.last_modified,
            options_digest=options_digest(item.options.object),
        ),
    )


def came_back(item: Item, record: Record | None) -> Record | None:
    """The record of an item that left, and came back before it was recorded whether its object was deleted: without the
    object, if its absence would count as another program's deletion."""
    if record is None or item.gone or record.condition.message != LEFT or item.options.drift is Drift.REPAIR:
        return record
    return replace(record, revision=None, object=RecordedObject())


def touched(item: Item, record: Record, observed: Observed) -> bool:
    """Whether the source, found to hold the recorded bytes, is another one than the recorded one, or another state of
    the file.

    A fallback that is older than the object does not replace the recorded source. The device counts only if the file
    is removed after the upload: no other file may be removed.
    """
    known, now = record.revision, observed.revision
    if known is not None and (across := relation(item, known, record.source_size, now)) is not None:
        return across is not Relation.BEHIND
    if known is None or now.file is None:
        return False
    same = now.file == known.file if item.removes_file else same_state(now.file, known.file)
    return known.address != now.address or not same


def with_revision(item: Item, record: Record, observed: Observed, now: float) -> Record:
    """The record of an item whose source was touched and has the same bytes: the object stays as it is."""
    digest = record.revision.digest if record.revision else None
    restored = record.revision.restored if record.revision else None
    revision = replace(observed.revision, digest=observed.revision.digest or digest, restored=restored)
    return _in_force(item, _condition(record, _SYNCED, now), revision, record.object)


def is_news(record: Record | None, outcome: Outcome) -> bool:
    """Whether the outcome differs from the record."""
    if record is None or record.removed is not None:
        return True
    known = record.condition
    return (known.state, known.reason, known.message) != (outcome.state, outcome.reason, outcome.message)
