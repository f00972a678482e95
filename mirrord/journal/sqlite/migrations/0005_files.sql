-- Which objects were made from a file, under whatever name, by its inode: revision.file is [device, inode, size, …]. An
-- expression, because inode numbers of some file systems exceed a signed 64-bit integer and whoever asks goes the same
-- way through JSON. Partial: what came from URLs costs nothing.
CREATE INDEX items_by_file ON items (json_extract(revision, '$.file[1]'))
WHERE json_extract(revision, '$.file[1]') IS NOT NULL;
