-- When a transfer was given up although the store may still hold something of it: an upload that could not be aborted,
-- or one that was requested and whose id is unknown. NULL: the transfer runs, or may go on.
ALTER TABLE transfers ADD COLUMN settled REAL;
