-- What the answers of stores showed, one row for each endpoint and fact.
CREATE TABLE learned (
    endpoint TEXT NOT NULL,
    name TEXT NOT NULL,
    server TEXT NOT NULL,
    text TEXT NOT NULL,
    learned REAL NOT NULL,  -- when
    PRIMARY KEY (endpoint, name)
) WITHOUT ROWID;
