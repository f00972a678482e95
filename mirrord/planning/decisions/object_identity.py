"""Whether the object that stands is the one that the journal recorded. Pure.

Owns the one comparison that drift, deletions, `after_upload`, `verify` and adoption share: by ETag, where a HEAD once
showed the recorded one; else by the transfer's id, the length and the checksum, which give the record its ETag.
"""

from dataclasses import replace

from mirrord.model import META_TRANSFER, Record, StoredObject


def is_recorded(record: Record, standing: StoredObject) -> bool:
    """Whether `standing` is the recorded object. Stores exist whose answer to a write names another ETag than HEAD."""
    return standing.etag == record.object.etag or (not record.object.etag_from_head and _is_our_write(record, standing))


def is_ours(record: Record, standing: StoredObject) -> bool:
    """Whether the object that stands is the very one that the journal says we wrote."""
    return _has_our_id(record, standing) and is_recorded(record, standing)


def with_shown_etag(record: Record, standing: StoredObject) -> Record:
    """The record with the ETag that a HEAD shows of its object; the same record, if that is known or it is another."""
    if record.object.etag_from_head or record.object.etag is None or not is_recorded(record, standing):
        return record
    return replace(record, object=replace(record.object, etag=standing.etag, etag_from_head=True))


def _is_our_write(record: Record, standing: StoredObject) -> bool:
    known, shown = record.object.checksum, standing.checksum
    contradicts = known is not None and shown is not None and shown.kind is known.kind and shown != known
    return _has_our_id(record, standing) and standing.size == record.object.size and not contradicts


def _has_our_id(record: Record, standing: StoredObject) -> bool:
    return record.object.transfer_id is not None and standing.metadata.get(META_TRANSFER) == record.object.transfer_id
