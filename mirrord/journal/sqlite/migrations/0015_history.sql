-- The past of items. Triggers write it, so no write of a record has a further statement, and a record that replaces
-- none costs one look-up of its id. REPLACE runs the triggers BEFORE INSERT while the row that it replaces still exists.
-- Bounded (`MAX_HISTORY`): 50 rows of an item, and as many rows in all as the newest 100,000 numbers.
CREATE TABLE past_objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL,
    until REAL NOT NULL,
    entry TEXT NOT NULL,
    source TEXT NOT NULL,
    revision TEXT,
    transfer_id TEXT,
    etag TEXT,
    size INTEGER,
    checksum_kind TEXT,
    checksum_value TEXT,
    integrity TEXT,
    synced_at REAL,
    options_digest TEXT,
    etag_from_head INTEGER,
    listed_etag TEXT
);
CREATE INDEX past_objects_of_item ON past_objects (item_id, number);
CREATE TABLE failures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL,
    at REAL NOT NULL,
    entry TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    message TEXT NOT NULL
);
CREATE INDEX failures_of_item ON failures (item_id, number);

CREATE TRIGGER object_replaced BEFORE INSERT ON items BEGIN
    INSERT INTO past_objects (
        item_id, until, entry, source, revision, transfer_id, etag, size, checksum_kind, checksum_value, integrity,
        synced_at, options_digest, etag_from_head, listed_etag
    )
    SELECT item_id, coalesce(NEW.synced_at, (julianday('now') - 2440587.5) * 86400.0), entry, source,
        revision, transfer_id, etag, size, checksum_kind, checksum_value, integrity,
        synced_at, options_digest, etag_from_head, listed_etag
    FROM items AS old
    WHERE old.item_id = NEW.item_id AND old.etag IS NOT NULL
        AND (old.transfer_id IS NOT NEW.transfer_id OR (old.transfer_id IS NULL AND old.etag IS NOT NEW.etag));
END;
CREATE TRIGGER attempt_failed BEFORE INSERT ON items WHEN NEW.state IN ('Retrying', 'Blocked') BEGIN
    INSERT INTO failures (item_id, at, entry, source, state, reason, message)
    SELECT NEW.item_id, (julianday('now') - 2440587.5) * 86400.0, NEW.entry, NEW.source, NEW.state, NEW.reason,
        NEW.message
    WHERE NOT EXISTS (
        SELECT 1 FROM items AS old
        WHERE old.item_id = NEW.item_id AND old.state = NEW.state AND old.reason IS NEW.reason
            AND old.message = NEW.message
    );
END;
CREATE TRIGGER past_objects_bounded AFTER INSERT ON past_objects BEGIN
    DELETE FROM past_objects WHERE number <= NEW.number - 100000;
    DELETE FROM past_objects WHERE item_id = NEW.item_id AND number <= (
        SELECT number FROM past_objects WHERE item_id = NEW.item_id ORDER BY number DESC LIMIT 1 OFFSET 50
    );
END;
CREATE TRIGGER failures_bounded AFTER INSERT ON failures BEGIN
    DELETE FROM failures WHERE number <= NEW.number - 100000;
    DELETE FROM failures WHERE item_id = NEW.item_id AND number <= (
        SELECT number FROM failures WHERE item_id = NEW.item_id ORDER BY number DESC LIMIT 1 OFFSET 50
    );
END;
