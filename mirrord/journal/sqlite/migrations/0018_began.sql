-- When the transfer began that wrote an object: `save_record` takes it from the transfer's row, which the same commit
-- deletes. Objects of before have none.
ALTER TABLE items ADD COLUMN began REAL;
ALTER TABLE past_objects ADD COLUMN began REAL;
DROP TRIGGER object_replaced;

CREATE TRIGGER object_replaced AFTER UPDATE OF transfer_id, etag ON items
WHEN OLD.etag IS NOT NULL
    AND (OLD.transfer_id IS NOT NEW.transfer_id OR (OLD.transfer_id IS NULL AND OLD.etag IS NOT NEW.etag))
BEGIN
    INSERT INTO past_objects (
        item_id, until, entry, source, revision, transfer_id, etag, size, checksum_kind, checksum_value, integrity,
        synced_at, options_digest, etag_from_head, listed_etag, began
    ) VALUES (
        OLD.item_id, coalesce(NEW.synced_at, (julianday('now') - 2440587.5) * 86400.0), OLD.entry, OLD.source,
        OLD.revision, OLD.transfer_id, OLD.etag, OLD.size, OLD.checksum_kind, OLD.checksum_value, OLD.integrity,
        OLD.synced_at, OLD.options_digest, OLD.etag_from_head, OLD.listed_etag, OLD.began
    );
END;
