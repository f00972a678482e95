"""Whether a stored object is the recorded one. Pure.

Owns the one comparison that drift, deletions, `after_upload`, `verify` and adoption share: by ETag, if a HEAD returned
the recorded one; else by the transfer's id, the length and the checksum, and the record then gets the object's ETag.
"""

from dataclasses import replace

from mirrord.model import META_TRANSFER, Record, StoredObject


def is_recorded(record: Record, stored: StoredObject) -> bool:
    """Whether `stored` is the recorded object. Some stores return another ETag for a write than for HEAD."""
    return stored.etag == record.object.etag or (not record.object.etag_from_head and _is_our_write(record, stored))


def is_ours(record: Record, stored: StoredObject) -> bool:
    """Whether `stored` is the recorded object and has the id of the recorded transfer in its metadata."""
    return _has_our_id(record, stored) and is_recorded(record, stored)


def with_shown_etag(record: Record, stored: StoredObject) -> Record:
    """The record with the ETag that a HEAD returned; the same record if it already has one, or `stored` is another
    object."""
    if record.object.etag_from_head or record.object.etag is None or not is_recorded(record, stored):
        return record
    return replace(record, object=replace(record.object, etag=stored.etag, etag_from_head=True))


def _is_our_write(record: Record, stored: StoredObject) -> bool:
    known, shown = record.object.checksum, stored.checksum
    contradicts = known is not None and shown is not None and shown.kind is known.kind and shown != known
    return _has_our_id(record, stored) and stored.size == record.object.size and not contradicts


def _has_our_id(record: Record, stored: StoredObject) -> bool:
    return record.object.transfer_id is not None and stored.metadata.get(META_TRANSFER) == record.object.transfer_id
