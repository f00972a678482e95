-- Several processes write: each has a lease of its own, in a row that is named after its owner, and the one that has
-- the state has that row, too.
ALTER TABLE lease ADD COLUMN slots bigint NOT NULL DEFAULT 0;  -- items that a worker checks at a time
CREATE INDEX lease_by_owner ON lease (owner);
CREATE OR REPLACE FUNCTION write_as(writer text, at_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM lease WHERE owner = writer AND epoch = at_epoch FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another mirrord took over the state' USING ERRCODE = 'MR001';
    END IF;
END $$;

-- Work that the owner of the state offers. Numbers begin with its epoch, so no number is used again.
CREATE TABLE tickets (
    number bigint PRIMARY KEY,
    works  text NOT NULL,  -- JSON
    worker text COLLATE "C",  -- the owner of its lease; NULL: not taken; '': it ended
    stop   text  -- JSON: ids of items whose checks are to end
);
CREATE INDEX tickets_free ON tickets (number) WHERE worker IS NULL;
CREATE INDEX tickets_of_worker ON tickets (worker) WHERE worker IS NOT NULL;
-- What workers say, until the owner of the state has read it.
CREATE TABLE reports (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket   bigint NOT NULL,
    outcomes text NOT NULL,  -- JSON
    last     boolean NOT NULL
);
