-- The directory that a folder's last complete scan read. If the path then names another directory, nothing is deleted
-- without confirmation. Numbers as text, because inode numbers of some file systems exceed a signed 64-bit integer.
CREATE TABLE roots (
    entry  TEXT NOT NULL,
    path   TEXT NOT NULL,
    device TEXT NOT NULL,
    inode  TEXT NOT NULL,
    PRIMARY KEY (entry, path)
) WITHOUT ROWID;
