-- Free text is bytea: UTF-8 that may contain NUL and lone surrogates, because file names need not be valid Unicode and
-- `text` refuses both. Bytes are compared as SQLite compares its BINARY text, on every platform and in every locale.
-- What mirrord itself writes (ids, states, digests) is text COLLATE "C", with the same order. No index has free text
-- itself, because an entry of an index is at most 2.7 kB; indexes have its SHA-256. The columns are those of SQLite.

CREATE TABLE items (
    item_id        text COLLATE "C" PRIMARY KEY,
    entry          bytea NOT NULL,
    source         bytea NOT NULL,  -- as shown: no userinfo, no query
    store          bytea NOT NULL,
    endpoint       bytea NOT NULL,
    bucket         bytea NOT NULL,
    key            bytea NOT NULL,
    state          text COLLATE "C" NOT NULL,
    reason         text COLLATE "C",
    message        bytea NOT NULL,
    since          double precision NOT NULL,
    next_check     double precision,
    revision       text COLLATE "C",  -- JSON; no query reads it, because JSON of PostgreSQL refuses lone surrogates
    transfer_id    text COLLATE "C",
    etag           text COLLATE "C",
    size           bigint,
    checksum_kind  text COLLATE "C",
    checksum_value text COLLATE "C",
    integrity      text COLLATE "C",
    synced_at      double precision,
    options_digest text COLLATE "C",
    removed        double precision,  -- when its item left the manifests; NULL: in force
    dated          double precision,  -- the time for `{date}` in the key of a folder's file
    etag_from_head integer NOT NULL DEFAULT 0,
    listed_etag    text COLLATE "C",
    began          double precision,  -- when the transfer began that wrote the object
    -- for queries only, derived from the columns above by mirrord (journal/postgres/derived.py)
    made_from      text COLLATE "C",  -- inode, size and mtime of the file in `revision`
    folded_names   bytea,  -- key and source, case-folded; NULL: as they are
    folded_entry   bytea
);
CREATE INDEX items_by_entry ON items (sha256(entry), item_id) WHERE removed IS NULL;
CREATE INDEX items_out_of_sync ON items (state, item_id) WHERE removed IS NULL AND state <> 'Synced';
CREATE INDEX items_by_since ON items (state, since, item_id) WHERE removed IS NULL;
CREATE INDEX items_by_date ON items (sha256(source)) WHERE dated IS NOT NULL;
CREATE INDEX items_by_file ON items (made_from) WHERE made_from IS NOT NULL;

-- Intents: a row exists from before the first request to the store until the transfer ends.
CREATE TABLE transfers (
    id                 text COLLATE "C" PRIMARY KEY,
    item_id            text COLLATE "C" NOT NULL,
    store              bytea NOT NULL,
    endpoint           bytea NOT NULL,
    bucket             bytea NOT NULL,
    key                bytea NOT NULL,
    revision           text COLLATE "C" NOT NULL,
    kind               text COLLATE "C" NOT NULL,
    part_size          bigint,
    largest_part       bigint,
    growth_step        bigint,
    started            double precision NOT NULL,
    checksum_kind      text COLLATE "C" NOT NULL,  -- of each part
    options_digest     text COLLATE "C",
    upload_id          text COLLATE "C",  -- NULL: not created, or its id is unknown
    whole_kind         text COLLATE "C",  -- the object's checksum, as sent with Complete
    whole_value        text COLLATE "C",
    settled            double precision,  -- when it was given up; NULL: it runs, or may go on
    complete_requested double precision,
    worker             text COLLATE "C" NOT NULL DEFAULT ''  -- that began it: the owner of a lease
);
CREATE INDEX transfers_by_item ON transfers (item_id);

CREATE TABLE parts (
    transfer_id    text COLLATE "C" NOT NULL REFERENCES transfers (id) ON DELETE CASCADE,
    number         bigint NOT NULL,
    size           bigint NOT NULL,
    etag           text COLLATE "C" NOT NULL,
    checksum_kind  text COLLATE "C",
    checksum_value text COLLATE "C",
    PRIMARY KEY (transfer_id, number)
);

-- The directory that a folder's last complete scan read. Numbers as text: inode numbers may exceed 63 bits.
CREATE TABLE roots (entry bytea NOT NULL, path bytea NOT NULL, device text NOT NULL, inode text NOT NULL);
CREATE UNIQUE INDEX roots_once ON roots (sha256(entry), sha256(path));

-- Notifications that wait for webhooks. `due` is NULL while an older row about the same thing waits.
CREATE TABLE outbox (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver text COLLATE "C" NOT NULL,
    about    bytea NOT NULL,
    id       text COLLATE "C" NOT NULL,
    name     text COLLATE "C" NOT NULL,
    subject  bytea NOT NULL,
    time     double precision NOT NULL,
    data     bytea NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    due      double precision
);
CREATE INDEX outbox_due ON outbox (receiver, due, number) WHERE due IS NOT NULL;
CREATE INDEX outbox_about ON outbox (receiver, sha256(about), number);
CREATE TABLE receivers (
    receiver text COLLATE "C" PRIMARY KEY,
    dead     bigint NOT NULL DEFAULT 0,
    dropped  bigint NOT NULL DEFAULT 0,
    error    bytea NOT NULL DEFAULT ''
);
-- Items of which item.blocked or item.stale was announced, and item.recovered was not yet.
CREATE TABLE alarms (item_id text COLLATE "C" PRIMARY KEY, stale integer NOT NULL);

-- Which items are to be deleted when they leave, and by whose word. `most`: -1: none is named.
CREATE TABLE holders (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file      bytea NOT NULL,
    entry     bytea NOT NULL,
    most      double precision NOT NULL,
    suspended integer NOT NULL
);
CREATE UNIQUE INDEX holders_once ON holders (sha256(file), sha256(entry), most, suspended);
CREATE TABLE held (item_id text COLLATE "C" PRIMARY KEY, holder bigint NOT NULL);
CREATE INDEX held_by_holder ON held (holder);

CREATE TABLE options (digest text COLLATE "C" PRIMARY KEY, options text NOT NULL);  -- JSON

CREATE TABLE learned (
    endpoint bytea NOT NULL,
    name     text COLLATE "C" NOT NULL,
    server   bytea NOT NULL,
    text     bytea NOT NULL,
    learned  double precision NOT NULL
);
CREATE UNIQUE INDEX learned_once ON learned (sha256(endpoint), name);

-- The past of items, written by triggers. Bounded: 50 rows of an item, and the newest 100,000 in all.
CREATE TABLE past_objects (
    number         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item_id        text COLLATE "C" NOT NULL,
    until          double precision NOT NULL,
    entry          bytea NOT NULL,
    source         bytea NOT NULL,
    revision       text,
    transfer_id    text,
    etag           text,
    size           bigint,
    checksum_kind  text,
    checksum_value text,
    integrity      text,
    synced_at      double precision,
    options_digest text,
    etag_from_head integer,
    listed_etag    text,
    began          double precision
);
CREATE INDEX past_objects_of_item ON past_objects (item_id, number);
CREATE TABLE failures (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item_id text COLLATE "C" NOT NULL,
    at      double precision NOT NULL,
    entry   bytea NOT NULL,
    source  bytea NOT NULL,
    state   text NOT NULL,
    reason  text,
    message bytea NOT NULL
);
CREATE INDEX failures_of_item ON failures (item_id, number);

CREATE FUNCTION keep_past_object() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE added bigint;
BEGIN
    INSERT INTO past_objects (
        item_id, until, entry, source, revision, transfer_id, etag, size, checksum_kind, checksum_value, integrity,
        synced_at, options_digest, etag_from_head, listed_etag, began
    ) VALUES (
        OLD.item_id, coalesce(NEW.synced_at, extract(epoch FROM clock_timestamp())), OLD.entry, OLD.source,
        OLD.revision, OLD.transfer_id, OLD.etag, OLD.size, OLD.checksum_kind, OLD.checksum_value, OLD.integrity,
        OLD.synced_at, OLD.options_digest, OLD.etag_from_head, OLD.listed_etag, OLD.began
    ) RETURNING number INTO added;
    DELETE FROM past_objects WHERE number <= added - 100000;
    DELETE FROM past_objects WHERE item_id = OLD.item_id AND number <= (
        SELECT number FROM past_objects WHERE item_id = OLD.item_id ORDER BY number DESC LIMIT 1 OFFSET 50
    );
    RETURN NULL;
END $$;
CREATE FUNCTION keep_failure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE added bigint;
BEGIN
    INSERT INTO failures (item_id, at, entry, source, state, reason, message)
    VALUES (NEW.item_id, extract(epoch FROM clock_timestamp()), NEW.entry, NEW.source, NEW.state, NEW.reason,
        NEW.message)
    RETURNING number INTO added;
    DELETE FROM failures WHERE number <= added - 100000;
    DELETE FROM failures WHERE item_id = NEW.item_id AND number <= (
        SELECT number FROM failures WHERE item_id = NEW.item_id ORDER BY number DESC LIMIT 1 OFFSET 50
    );
    RETURN NULL;
END $$;
CREATE TRIGGER object_replaced AFTER UPDATE ON items FOR EACH ROW
WHEN (OLD.etag IS NOT NULL AND (
    OLD.transfer_id IS DISTINCT FROM NEW.transfer_id
    OR (OLD.transfer_id IS NULL AND OLD.etag IS DISTINCT FROM NEW.etag)
)) EXECUTE FUNCTION keep_past_object();
CREATE TRIGGER attempt_failed AFTER UPDATE ON items FOR EACH ROW
WHEN (NEW.state IN ('Retrying', 'Blocked') AND (
    OLD.state <> NEW.state OR OLD.reason IS DISTINCT FROM NEW.reason OR OLD.message <> NEW.message
)) EXECUTE FUNCTION keep_failure();
CREATE TRIGGER first_attempt_failed AFTER INSERT ON items FOR EACH ROW
WHEN (NEW.state IN ('Retrying', 'Blocked')) EXECUTE FUNCTION keep_failure();

-- Which process may write. The row changes hands by a new owner and the next epoch, under FOR UPDATE; renewing it only
-- moves `until`. All times are PostgreSQL's. The row exists from the start, so that the first owner needs no other way.
CREATE TABLE lease (
    name    text COLLATE "C" PRIMARY KEY,
    owner   text NOT NULL,
    epoch   bigint NOT NULL,
    until   timestamptz NOT NULL,
    host    text NOT NULL,
    pid     bigint NOT NULL,
    written double precision  -- when the owner last wrote, as of the last renewal
);
INSERT INTO lease (name, owner, epoch, until, host, pid) VALUES ('state', '', 0, '-infinity', '', 0);
-- The first statement of every transaction that writes. FOR KEY SHARE: renewals go on beside the transaction, and a new
-- owner waits for its end.
CREATE FUNCTION write_as(writer text, at_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM lease WHERE name = 'state' AND owner = writer AND epoch = at_epoch FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another mirrord took over the state' USING ERRCODE = 'MR001';
    END IF;
END $$;
