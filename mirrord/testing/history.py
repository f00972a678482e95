"""The history of an item in a fake of Journal: what a write of its record adds."""

from dataclasses import replace

from mirrord.model import FailedAttempt, History, PastObject, Record, State
from mirrord.ports.journal import MAX_HISTORY


def with_change(known: History, before: Record | None, after: Record, now: float) -> History:
    """The history after `after` replaced the record `before`."""
    if before is not None and _is_replaced(before, after):
        past = PastObject(
            until=after.object.synced_at or now,
            entry=before.entry,
            source=before.source,
            revision=before.revision,
            object=before.object,
        )
        known = replace(known, objects=(past, *known.objects)[:MAX_HISTORY])
    if _is_new_failure(before, after):
        failed = FailedAttempt(
            when=now,
            entry=after.entry,
            source=after.source,
            state=after.condition.state,
            reason=after.condition.reason,
            message=after.condition.message,
        )
        known = replace(known, failures=(failed, *known.failures)[:MAX_HISTORY])
    return known


def _is_replaced(before: Record, after: Record) -> bool:
    old, new = before.object, after.object
    if old.etag is None:
        return False
    return old.transfer_id != new.transfer_id or (old.transfer_id is None and old.etag != new.etag)


def _is_new_failure(before: Record | None, after: Record) -> bool:
    now = after.condition
    then = before.condition if before is not None else None
    same = then is not None and (then.state, then.reason, then.message) == (now.state, now.reason, now.message)
    return now.state in (State.RETRYING, State.BLOCKED) and not same
