-- Which items are to be deleted when they leave, and by whose word: `holders` are versions of entries with `prune`, `held`
-- the holder of each of their items. The row of an item stays when it leaves, so that the deletion is not forgotten. An
-- item of an entry without `prune` has no row. `most`: the share that `prune: {max: …}` allows; -1: none is named.
CREATE TABLE holders (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    entry TEXT NOT NULL,
    most REAL NOT NULL,
    suspended INTEGER NOT NULL,
    UNIQUE (file, entry, most, suspended)
);
CREATE TABLE held (item_id TEXT PRIMARY KEY, holder INTEGER NOT NULL) WITHOUT ROWID;
