-- The worker that began a transfer: with SQLite there is one, which has no name. In PostgreSQL it is the owner of a lease.
ALTER TABLE transfers ADD COLUMN worker TEXT NOT NULL DEFAULT '';
