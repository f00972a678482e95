-- The objects that were made from a file, under any name, by its inode: revision.file is [device, inode, size, …]. An
-- expression, because inode numbers of some file systems exceed a signed 64-bit integer, and the query reads its inode
-- from JSON in the same way. Partial: items with URLs cost nothing.
CREATE INDEX items_by_file ON items (json_extract(revision, '$.file[1]'))
WHERE json_extract(revision, '$.file[1]') IS NOT NULL;
