-- Notifications that wait for webhooks, one row for each receiver. `receiver` is a digest of the URL. `due` is NULL while
-- an older row about the same thing waits: so only the oldest is in the index of what is due.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    about TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    time REAL NOT NULL,
    data TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL
);
CREATE INDEX outbox_due ON outbox (receiver, due, number) WHERE due IS NOT NULL;
CREATE INDEX outbox_about ON outbox (receiver, about, number);
CREATE TABLE receivers (
    receiver TEXT PRIMARY KEY,
    dead INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
-- Items of which item.blocked or item.stale was announced, and item.recovered was not yet.
CREATE TABLE alarms (item_id TEXT PRIMARY KEY, stale INTEGER NOT NULL) WITHOUT ROWID;
