-- Whether a HEAD showed the recorded ETag. Of journals written before, nobody knows: the next HEAD of an object that
-- carries the recorded transfer's id gives the record its ETag.
ALTER TABLE items ADD COLUMN etag_from_head INTEGER NOT NULL DEFAULT 0;
