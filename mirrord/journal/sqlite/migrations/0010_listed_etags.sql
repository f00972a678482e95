-- The ETag that listings of the store show of the object, where it is not the one of a HEAD. NULL: it is the same, or
-- unknown.
ALTER TABLE items ADD COLUMN listed_etag TEXT;
