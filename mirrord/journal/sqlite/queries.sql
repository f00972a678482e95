-- Every statement of the journal, by name. CAST(… AS TEXT): the text comes as bytes, because a path or an address
-- that is not valid Unicode cannot be bound as text (see rows.py).

-- name: save_record
REPLACE INTO items (
    item_id, entry, source, store, endpoint, bucket, key, state, reason, message, since, next_check, revision,
    transfer_id, etag, size, checksum_kind, checksum_value, integrity, synced_at, options_digest
) VALUES (
    :item_id, CAST(:entry AS TEXT), CAST(:source AS TEXT), CAST(:store AS TEXT), CAST(:endpoint AS TEXT),
    CAST(:bucket AS TEXT), CAST(:key AS TEXT), :state, :reason, CAST(:message AS TEXT), :since, :next_check, :revision,
    :transfer_id, :etag, :size, :checksum_kind, :checksum_value, :integrity, :synced_at, :options_digest
);

-- name: record
SELECT * FROM items WHERE item_id = :item_id;

-- name: records
SELECT * FROM items WHERE item_id > :after ORDER BY item_id LIMIT :limit;

-- name: begin_transfer
REPLACE INTO transfers (id, item_id, store, endpoint, bucket, key, revision, kind, part_size, started)
VALUES (
    :id, :item_id, CAST(:store AS TEXT), CAST(:endpoint AS TEXT), CAST(:bucket AS TEXT), CAST(:key AS TEXT), :revision,
    :kind, :part_size, :started
);

-- name: settle_transfer
DELETE FROM transfers WHERE id = :id;

-- name: unfinished
SELECT * FROM transfers WHERE id > :after ORDER BY id LIMIT :limit;
