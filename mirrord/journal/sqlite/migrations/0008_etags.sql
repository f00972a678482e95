-- Whether a HEAD showed the recorded ETag. For older journals this is unknown: the next HEAD of an object with the
-- recorded transfer's id sets the ETag of the record.
ALTER TABLE items ADD COLUMN etag_from_head INTEGER NOT NULL DEFAULT 0;
