-- Which directory a folder's last whole scan read: another one under the same path deletes nothing by itself. Numbers as
-- text, because inode numbers of some file systems exceed a signed 64-bit integer.
CREATE TABLE roots (
    entry  TEXT NOT NULL,
    path   TEXT NOT NULL,
    device TEXT NOT NULL,
    inode  TEXT NOT NULL,
    PRIMARY KEY (entry, path)
) WITHOUT ROWID;
