-- The options that objects were written with, by the digest in `items` and `transfers`: few rows, because the items of an
-- entry share them.
CREATE TABLE options (
    digest TEXT PRIMARY KEY,
    options TEXT NOT NULL  -- JSON
) WITHOUT ROWID;
