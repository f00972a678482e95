-- When a transfer was given up although something of it may stand at the store: an upload that could not be aborted, or
-- one that was asked for and whose id nobody knows. NULL: it runs, or may go on.
ALTER TABLE transfers ADD COLUMN settled REAL;
