-- 'mird': tells a journal from another program's database.
PRAGMA application_id = 0x6d697264;

-- One row an item: the record as model.Record has it. `revision` is JSON, because inode numbers of some file systems
-- exceed a signed 64-bit integer and because nothing is ever looked up by it. A rowid table: ids are hashes, and rows
-- of half a kilobyte in random order would touch a page each.
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

-- What people ask for is in force, and in the order of ids; each of these answers from its first row on, and the second
-- counts states without touching a record. Partial, so that what left the manifests costs nothing.
CREATE INDEX items_in_force ON items (item_id) WHERE removed IS NULL;
CREATE INDEX items_by_state ON items (state, item_id, removed) WHERE removed IS NULL;
CREATE INDEX items_by_entry ON items (entry, item_id) WHERE removed IS NULL;
CREATE INDEX items_by_entry_and_state ON items (entry, state, item_id) WHERE removed IS NULL;

-- Intents: a row stands from before the store is asked for anything until the transfer is settled, so that after a
-- crash this table is exactly what may have been left at the stores. Uploads and parts will refer to it.
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
