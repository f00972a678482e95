-- The moment that `{date}` stands for in the key of a folder's file: its mtime when it was first recorded, then kept
-- for its path. NULL: the key has no date. The question comes with paths, some dozens at a time; the index answers it by
-- itself, and being partial costs folders without dates nothing.
ALTER TABLE items ADD COLUMN dated REAL;
CREATE INDEX items_by_date ON items (entry, source, dated) WHERE dated IS NOT NULL AND removed IS NULL;
