-- 'mird': distinguishes a journal from the database of another program.
PRAGMA application_id = 0x6d697264;

-- One row for each item, with the fields of model.Record. `revision` is JSON, because inode numbers of some file systems
-- exceed a signed 64-bit integer, and no query searches by it. A rowid table: ids are hashes, and inserting rows of half
-- a kilobyte in random order would touch one page for each row.
CREATE TABLE items (
    item_id        TEXT NOT NULL PRIMARY KEY,
    entry          TEXT NOT NULL,
    source         TEXT NOT NULL,  -- as shown: no userinfo, no query
    store          TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    bucket         TEXT NOT NULL,
    key            TEXT NOT NULL,
    state          TEXT NOT NULL,
    reason         TEXT,
    message        TEXT NOT NULL,
    since          REAL NOT NULL,
    next_check     REAL,
    revision       TEXT,
    transfer_id    TEXT,
    etag           TEXT,
    size           INTEGER,
    checksum_kind  TEXT,
    checksum_value TEXT,
    integrity      TEXT,
    synced_at      REAL,
    options_digest TEXT,
    removed        REAL            -- when its item left the manifests; NULL: in force
);

-- Queries of users are for items in force, in the order of ids. With these indexes each query reads no row before its
-- first result, and items_by_state counts states without reading records. Partial: retired items cost nothing.
CREATE INDEX items_in_force ON items (item_id) WHERE removed IS NULL;
CREATE INDEX items_by_state ON items (state, item_id, removed) WHERE removed IS NULL;
CREATE INDEX items_by_entry ON items (entry, item_id) WHERE removed IS NULL;
CREATE INDEX items_by_entry_and_state ON items (entry, state, item_id) WHERE removed IS NULL;

-- Intents: a row exists from before the first request to the store until the transfer ends. After a crash this table
-- therefore lists exactly the transfers that may have left something at the stores. Uploads and parts refer to it.
CREATE TABLE transfers (
    id        TEXT NOT NULL PRIMARY KEY,
    item_id   TEXT NOT NULL,
    store     TEXT NOT NULL,
    endpoint  TEXT NOT NULL,
    bucket    TEXT NOT NULL,
    key       TEXT NOT NULL,
    revision  TEXT NOT NULL,
    kind      TEXT NOT NULL,
    part_size INTEGER,
    started   REAL NOT NULL
);
