-- The progress of multipart uploads. `transfers` has the intent, these columns and `parts` have the progress; the rows
-- of both are deleted when the transfer ends.
ALTER TABLE transfers ADD COLUMN checksum_kind TEXT NOT NULL DEFAULT 'none';  -- of each part
ALTER TABLE transfers ADD COLUMN options_digest TEXT;  -- of what the upload was created with
ALTER TABLE transfers ADD COLUMN upload_id TEXT;  -- NULL: not created, or its id is unknown
ALTER TABLE transfers ADD COLUMN completing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transfers ADD COLUMN whole_kind TEXT;  -- the object's checksum, as sent with Complete
ALTER TABLE transfers ADD COLUMN whole_value TEXT;
CREATE INDEX transfers_by_item ON transfers (item_id);

-- Parts that the store has confirmed. The offset is not kept: an upload has one part size.
CREATE TABLE parts (
    transfer_id    TEXT NOT NULL REFERENCES transfers (id) ON DELETE CASCADE,
    number         INTEGER NOT NULL,
    size           INTEGER NOT NULL,
    etag           TEXT NOT NULL,
    checksum_kind  TEXT,
    checksum_value TEXT,
    PRIMARY KEY (transfer_id, number)
) WITHOUT ROWID;
