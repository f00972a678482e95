"""Which notifications the change of a record causes, and their data. Pure.

Owns the meaning of the events that follow from two versions of a record. `transfer.failed`, `item.drifted` and
`manifest.rejected` change no record, or not always: `daemon.announcer` makes them with the same data.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from mirrord.frozen import frozen
from mirrord.model import Destination, Notice, Notification, Record, State


def changes_of(
    records: Sequence[Record], finished: Sequence[str], before: Mapping[str, Record], alarmed: Collection[str]
) -> Iterator["RecordChange"]:
    """The changes of one commit. `finished`: the transfer that each record ends, or empty; `before` and `alarmed` by
    item id."""
    known, alarms = dict(before), set(alarmed)
    for number, after in enumerate(records):
        ended = finished[number] if finished else None
        change = RecordChange(known.get(after.item_id), after, ended, after.item_id in alarms)
        yield change
        known[after.item_id] = after
        (alarms.add if change.alarms_after() else alarms.discard)(after.item_id)


@frozen
class RecordChange:
    """A record before and after one commit. `finished`: the id of the transfer that the commit ends, if any.

    `alarmed`: `item.blocked` or `item.stale` was announced, and `item.recovered` was not yet."""

    before: Record | None
    after: Record
    finished: str | None = None
    alarmed: bool = False

    def notices(self) -> Iterator[Notice]:
        """The events of the change, in their order."""
        if self.after.removed is not None:
            if self._was_pruned:
                yield Notice.ITEM_PRUNED
            return
        if self.finished is not None and self._is_proven:
            yield Notice.TRANSFER_COMPLETED
        state = self.after.condition.state
        if state is State.SYNCED:
            yield from self._synced()
        elif state is State.BLOCKED and self._was_blocked_for() != (State.BLOCKED, self.after.condition.reason):
            yield Notice.ITEM_BLOCKED

    def alarms_after(self) -> bool:
        """Whether `item.recovered` must follow later."""
        state = self.after.condition.state
        if self.after.removed is not None or state is State.SYNCED:
            return False
        return self.alarmed or state is State.BLOCKED

    def _synced(self) -> Iterator[Notice]:
        before = self.before
        was_synced = before is not None and before.condition.state is State.SYNCED
        if before is None or not was_synced or before.object.transfer_id != self.after.object.transfer_id:
            yield Notice.ITEM_SYNCED
        if self.alarmed or (before is not None and before.condition.state is State.BLOCKED):
            yield Notice.ITEM_RECOVERED

    def _was_blocked_for(self) -> tuple[State, object] | None:
        before = self.before
        return (
            None if before is None or before.removed is not None else (before.condition.state, before.condition.reason)
        )

    @property
    def _is_proven(self) -> bool:
        """Not: the object was found to have other bytes than were sent."""
        return self.after.object.integrity is not None

    @property
    def _was_pruned(self) -> bool:
        return self.before is not None and self.before.object.etag is not None and self.after.object.etag is None


def item_data(item_id: str, entry: str, source: str, at: Destination, **more: object) -> dict[str, object]:
    """The fields that say which item an event is about, and `more` without those that are None."""
    known = {name: value for name, value in more.items() if value is not None}
    return {
        "item": item_id,
        "entry": entry,
        "source": source,
        "store": at.store,
        "bucket": at.bucket,
        "key": at.key,
        **known,
    }


def data_of(record: Record) -> dict[str, object]:
    """The data of an event that follows from a record."""
    condition, made = record.condition, record.object
    return item_data(
        record.item_id,
        record.entry,
        record.source,
        record.destination,
        state=None if record.removed else condition.state.value,
        reason=condition.reason.value if condition.reason else None,
        message=condition.message or None,
        since=condition.since or None,
        transfer_id=made.transfer_id,
        bytes=made.size,
        etag=made.etag,
        checksum=f"{made.checksum.kind.value}:{made.checksum.value}" if made.checksum else None,
        integrity=made.integrity.value if made.integrity else None,
    )


def notification_of(record: Record, name: Notice, notification_id: str, now: float) -> Notification:
    """The notification of an event that follows from a record."""
    return Notification(
        id=notification_id,
        name=name,
        about=record.item_id,
        subject=str(record.destination),
        time=now,
        data=as_data(data_of(record)),
    )


def as_data(fields: dict[str, object]) -> str:
    """The fields as the JSON text of `Notification.data`. Bytes of file names that are not valid text are replaced."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
