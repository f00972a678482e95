"""Whether a stored object is the recorded one. Pure.

Owns the one comparison that drift, deletions, `after_upload`, `verify` and adoption share: by ETag, if a HEAD returned
the recorded one; else by the transfer's id, the length and the checksum, and the record then gets the object's ETag.
"""

from dataclasses import replace

from mirrord.model import META_TRANSFER, Record, StoredObject


def is_recorded(record: Record, stored: StoredObject) -> bool:
    """Whether `stored` is the recorded object. Some stores return another ETag for a write than for HEAD."""
    if stored.other_key:  # equal bytes may have equal ETags under any key
        return False
    return stored.etag == record.object.etag or (not record.object.etag_from_head and _is_our_write(record, stored))


def is_ours(record: Record, stored: StoredObject) -> bool:
    """Whether `stored` is the recorded object and has the id of the recorded transfer in its metadata."""
    return _has_our_id(record, stored) and is_recorded(record, stored)


def with_shown_etag(record: Record, stored: StoredObject, listed_etag: str | None = None) -> Record:
    """The record with the ETag that a HEAD returned, and with `listed_etag`, which a listing showed at the same time;
    the same record if it already has both, or `stored` is another object."""
    known = record.object
    if known.etag is None or not is_recorded(record, stored):
        return record
    if not known.etag_from_head:
        known = replace(known, etag=stored.etag, etag_from_head=True)
    if listed_etag is not None and known.size == stored.size:
        known = replace(known, listed_etag=listed_etag)
    return record if known == record.object else replace(record, object=known)


def _is_our_write(record: Record, stored: StoredObject) -> bool:
    known, shown = record.object.checksum, stored.checksum
    contradicts = known is not None and shown is not None and shown.kind is known.kind and shown != known
    return _has_our_id(record, stored) and stored.size == record.object.size and not contradicts


def _has_our_id(record: Record, stored: StoredObject) -> bool:
    return record.object.transfer_id is not None and stored.metadata.get(META_TRANSFER) == record.object.transfer_id
