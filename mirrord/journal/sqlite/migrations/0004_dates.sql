-- The time for `{date}` in the key of a folder's file: its mtime when it was first recorded, then kept for its path.
-- NULL: the key has no date. Queries are by paths, some dozens at a time. The index is partial, so that folders without
-- dates pay nothing for it (with dates: 70 MB for a million files, beside a table of 560 MB).
ALTER TABLE items ADD COLUMN dated REAL;
CREATE INDEX items_by_date ON items (source, dated) WHERE dated IS NOT NULL;
