-- Every statement of the journal, by name. CAST(… AS TEXT): text is bound as bytes, because SQLite does not accept a
-- path or a URL that is not valid Unicode as text (see rows.py).

-- name: save_record
INSERT INTO items (
    item_id, entry, source, store, endpoint, bucket, key, state, reason, message, since, next_check, revision,
    transfer_id, etag, size, checksum_kind, checksum_value, integrity, synced_at, options_digest,
    removed, dated, etag_from_head, listed_etag, began
) VALUES (
    ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT),
    CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, CAST(? AS TEXT), ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, (SELECT started FROM transfers WHERE id = ?)
)
ON CONFLICT (item_id) DO UPDATE SET
    entry = excluded.entry, source = excluded.source, store = excluded.store, endpoint = excluded.endpoint,
    bucket = excluded.bucket, key = excluded.key, state = excluded.state, reason = excluded.reason,
    message = excluded.message, since = excluded.since, next_check = excluded.next_check,
    revision = excluded.revision, transfer_id = excluded.transfer_id, etag = excluded.etag, size = excluded.size,
    checksum_kind = excluded.checksum_kind, checksum_value = excluded.checksum_value, integrity = excluded.integrity,
    synced_at = excluded.synced_at, options_digest = excluded.options_digest, removed = excluded.removed,
    dated = excluded.dated, etag_from_head = excluded.etag_from_head, listed_etag = excluded.listed_etag,
    began = CASE WHEN excluded.transfer_id IS items.transfer_id THEN coalesce(excluded.began, began)
        ELSE excluded.began END;

-- name: record
SELECT * FROM items WHERE item_id = :item_id;

-- name: past_objects
SELECT * FROM past_objects WHERE item_id = :item_id ORDER BY number DESC;

-- name: failures
SELECT * FROM failures WHERE item_id = :item_id ORDER BY number DESC;

-- name: recorded
SELECT * FROM items WHERE item_id IN (SELECT value FROM json_each(:item_ids));

-- name: recorded_etags
SELECT item_id, size, etag, listed_etag FROM items
WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND etag IS NOT NULL;

-- name: recorded_schedules
SELECT item_id, state, next_check, removed, options_digest,
    json_extract(revision, '$.address'), json_extract(revision, '$.length'), json_extract(revision, '$.etag'),
    entry
FROM items WHERE item_id IN (SELECT value FROM json_each(:item_ids));

-- name: unchanged
SELECT item_id, revision, entry = CAST(:entry AS TEXT) AS of_entry FROM items
WHERE item_id IN (SELECT value FROM json_each(:item_ids))
    AND removed IS NULL AND state = 'Synced' AND reason IS NULL AND message = '' AND revision IS NOT NULL
    AND options_digest = :options_digest AND (NOT :readback OR integrity IS NULL OR integrity = 'readback')
    AND NOT EXISTS (SELECT 1 FROM transfers WHERE transfers.item_id = items.item_id);

-- name: new_files
SELECT seen.key AS item_id FROM json_each(:files) AS seen
WHERE NOT EXISTS (SELECT 1 FROM items WHERE items.item_id = seen.key)
    AND NOT EXISTS (SELECT 1 FROM transfers WHERE transfers.item_id = seen.key)
    AND NOT EXISTS (
        SELECT 1 FROM items INDEXED BY items_by_file
        WHERE json_extract(revision, '$.file[1]') = json_extract(seen.value, '$[1]')
            AND json_extract(revision, '$.file[2]') = json_extract(seen.value, '$[2]')
            AND json_extract(revision, '$.file[3]') = json_extract(seen.value, '$[3]')
            AND endpoint = CAST(:endpoint AS TEXT)
    );

-- name: dates
SELECT source, min(dated) AS dated FROM items INDEXED BY items_by_date
WHERE dated IS NOT NULL AND source IN (SELECT value FROM json_each(:sources))
    AND (removed IS NULL OR etag IS NOT NULL)
GROUP BY source;

-- name: records
SELECT * FROM items WHERE item_id > :after ORDER BY item_id LIMIT :limit;

-- name: retire
UPDATE items SET removed = :removed WHERE item_id = :item_id AND removed IS NULL;

-- name: page
SELECT * FROM items INDEXED BY sqlite_autoindex_items_1
WHERE item_id > :after AND item_id <= :until AND removed IS NULL AND (:state IS NULL OR state = :state)
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
ORDER BY item_id LIMIT :limit;

-- name: page_out_of_sync
SELECT * FROM items INDEXED BY items_out_of_sync
WHERE removed IS NULL AND state <> 'Synced' AND state = :state AND item_id > :after AND item_id <= :until
    AND (:entry IS NULL OR entry = CAST(:entry AS TEXT))
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
ORDER BY item_id LIMIT :limit;

-- name: page_of_entry
SELECT * FROM items INDEXED BY items_by_entry
WHERE removed IS NULL AND entry = CAST(:entry AS TEXT) AND item_id > :after AND item_id <= :until
    AND (:state IS NULL OR state = :state)
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
ORDER BY item_id LIMIT :limit;

-- name: state_by_since
SELECT * FROM items INDEXED BY items_by_since
WHERE removed IS NULL AND state = :state AND (since, item_id) > (:value, :item_id)
    AND (:entry IS NULL OR entry = CAST(:entry AS TEXT))
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
ORDER BY since, item_id LIMIT :limit;

-- name: state_by_since_descending
SELECT * FROM items INDEXED BY items_by_since
WHERE removed IS NULL AND state = :state AND (since, item_id) < (:value, :item_id)
    AND (:entry IS NULL OR entry = CAST(:entry AS TEXT))
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
ORDER BY since DESC, item_id DESC LIMIT :limit;

-- name: has_many
SELECT 1 FROM items INDEXED BY items_by_since WHERE removed IS NULL AND state = :state LIMIT 1 OFFSET :many;

-- name: last_row
SELECT max(rowid) AS last FROM items;

-- name: sorted_ids
SELECT item_id, CASE :by
        WHEN 'object' THEN bucket || '/' || key
        WHEN 'since' THEN since
        WHEN 'copied' THEN coalesce(synced_at, :missing)
        ELSE coalesce(size, :missing)
    END AS value
FROM items NOT INDEXED
WHERE rowid > :start AND rowid <= :start + :step AND removed IS NULL AND (:state IS NULL OR state = :state)
    AND (:entry IS NULL OR entry = CAST(:entry AS TEXT))
    AND (:text IS NULL OR mentions(CAST(:text AS BLOB), CAST(key AS BLOB), CAST(source AS BLOB), CAST(entry AS BLOB)))
    AND CASE
        WHEN :item_id IS NULL THEN 1
        WHEN :descending THEN (value, item_id) < (iif(:by = 'object', CAST(:value AS TEXT), :value), :item_id)
        ELSE (value, item_id) > (iif(:by = 'object', CAST(:value AS TEXT), :value), :item_id)
    END
ORDER BY iif(:descending, NULL, value), iif(:descending, value, NULL) DESC,
    iif(:descending, NULL, item_id), iif(:descending, item_id, NULL) DESC
LIMIT :limit;

-- name: step_end
SELECT item_id FROM items WHERE item_id > :after ORDER BY item_id LIMIT 1 OFFSET :step - 1;

-- name: item_ids_outside
SELECT entry, item_id FROM items INDEXED BY items_by_entry
WHERE removed IS NULL AND (entry, item_id) > (CAST(:entry AS TEXT), :after)
    AND entry NOT IN (SELECT value FROM json_each(:entries))
ORDER BY entry, item_id LIMIT :limit;

-- name: made_from
SELECT * FROM items INDEXED BY items_by_file
WHERE json_extract(revision, '$.file[1]') = json_extract(:file, '$[1]')
    AND json_extract(revision, '$.file[2]') = json_extract(:file, '$[2]')
    AND json_extract(revision, '$.file[3]') = json_extract(:file, '$[3]')
    AND endpoint = CAST(:endpoint AS TEXT)
LIMIT :limit;

-- name: count
SELECT count(*) AS count FROM items INDEXED BY items_by_entry WHERE removed IS NULL AND entry = CAST(:entry AS TEXT);

-- name: entry_counts
WITH step AS (
    SELECT item_id, state, size FROM items INDEXED BY items_by_entry
    WHERE removed IS NULL AND entry = CAST(:entry AS TEXT) AND item_id > :after ORDER BY item_id LIMIT :step
)
SELECT state, count(*) AS count, coalesce(sum(size), 0) AS size, max(item_id) AS last FROM step GROUP BY state;

-- name: totals
WITH others AS (
    SELECT state, count(*) AS count FROM items INDEXED BY items_out_of_sync
    WHERE removed IS NULL AND state <> 'Synced' GROUP BY state
)
SELECT state, count FROM others
UNION ALL SELECT 'Synced', (SELECT count(*) FROM items INDEXED BY items_by_entry WHERE removed IS NULL)
    - (SELECT coalesce(sum(count), 0) FROM others);

-- name: begin_transfer
INSERT INTO transfers (
    id, item_id, store, endpoint, bucket, key, revision, kind, part_size, largest_part, growth_step, started,
    checksum_kind, options_digest, upload_id, whole_kind, whole_value, settled, complete_requested, worker
) VALUES (
    ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?,
    ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: opened
UPDATE transfers SET upload_id = :upload_id WHERE id = :id;

-- name: part_done
REPLACE INTO parts (transfer_id, number, size, etag, checksum_kind, checksum_value)
SELECT :transfer_id, :number, :size, :etag, :checksum_kind, :checksum_value
WHERE EXISTS (SELECT 1 FROM transfers WHERE id = :transfer_id);

-- name: completing
UPDATE transfers
SET whole_kind = :whole_kind, whole_value = :whole_value, complete_requested = :complete_requested
WHERE id = :id;

-- name: complete_refused
UPDATE transfers SET complete_requested = NULL WHERE id = :id;

-- name: forget_transfer
DELETE FROM transfers WHERE id = :id;

-- name: forget_transfers
DELETE FROM transfers WHERE id IN (SELECT value FROM json_each(:ids));

-- name: give_up
UPDATE transfers SET settled = :settled WHERE id = :id AND settled IS NULL;

-- name: given_up
SELECT * FROM transfers WHERE settled IS NOT NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: unfinished
SELECT * FROM transfers WHERE settled IS NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: open_transfers
SELECT id, item_id FROM transfers WHERE id > :after ORDER BY id LIMIT :limit;

-- name: unfinished_of
SELECT * FROM transfers WHERE item_id = :item_id AND settled IS NULL ORDER BY started, id;

-- name: open_of
SELECT * FROM transfers WHERE item_id = :item_id ORDER BY started, id;

-- name: parts
SELECT * FROM parts WHERE transfer_id = :transfer_id ORDER BY number;

-- name: folder_root
SELECT device, inode FROM roots WHERE entry = CAST(:entry AS TEXT) AND path = CAST(:path AS TEXT);

-- name: save_folder_root
REPLACE INTO roots (entry, path, device, inode) VALUES (CAST(:entry AS TEXT), CAST(:path AS TEXT), :device, :inode);

-- name: learned
SELECT * FROM learned WHERE learned >= :since ORDER BY endpoint, name;

-- name: learn
REPLACE INTO learned (endpoint, name, server, text, learned)
VALUES (CAST(:endpoint AS TEXT), :name, CAST(:server AS TEXT), CAST(:text AS TEXT), :learned);

-- name: put_in_outbox
INSERT INTO outbox (receiver, about, id, name, subject, time, data, due)
SELECT :receiver, CAST(:about AS TEXT), :id, :name, CAST(:subject AS TEXT), :time, CAST(:data AS TEXT),
    CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE receiver = :receiver AND about = CAST(:about AS TEXT))
        THEN NULL ELSE 0.0 END
WHERE NOT :if_out_of_sync
    OR EXISTS (SELECT 1 FROM items WHERE item_id = :about AND state <> 'Synced' AND removed IS NULL);

-- name: add_alarm
REPLACE INTO alarms (item_id, stale)
SELECT :item_id, :stale OR coalesce((SELECT stale FROM alarms WHERE item_id = :item_id), 0)
WHERE EXISTS (SELECT 1 FROM items WHERE item_id = :item_id AND state <> 'Synced' AND removed IS NULL);

-- name: clear_alarm
DELETE FROM alarms WHERE item_id = :item_id;

-- name: not_stale
UPDATE alarms SET stale = 0 WHERE item_id = :item_id;

-- name: clear_left
DELETE FROM alarms WHERE item_id = :item_id
    AND NOT EXISTS (SELECT 1 FROM items WHERE item_id = :item_id AND removed IS NULL);

-- name: alarms
SELECT item_id FROM alarms WHERE item_id IN (SELECT value FROM json_each(:item_ids));

-- name: recovered
SELECT items.* FROM alarms JOIN items USING (item_id)
WHERE item_id > :after AND state = 'Synced' AND removed IS NULL ORDER BY item_id LIMIT :limit;

-- name: stale
SELECT item_id FROM alarms WHERE stale AND item_id > :after ORDER BY item_id LIMIT :limit;

-- name: add_receiver
INSERT OR IGNORE INTO receivers (receiver) VALUES (:receiver);

-- name: forget_receivers
DELETE FROM receivers WHERE receiver NOT IN (SELECT value FROM json_each(:kept));

-- name: forget_rows
DELETE FROM outbox WHERE receiver NOT IN (SELECT value FROM json_each(:kept));

-- name: due
SELECT * FROM outbox INDEXED BY outbox_due
WHERE receiver = :receiver AND due IS NOT NULL AND due > :after AND due <= :until ORDER BY due, number LIMIT :limit;

-- name: next_due
SELECT min(due) AS due FROM outbox INDEXED BY outbox_due WHERE receiver = :receiver AND due IS NOT NULL;

-- name: leave_outbox
DELETE FROM outbox WHERE number = :number;

-- name: make_due
UPDATE outbox SET due = 0.0
WHERE number = (SELECT min(number) FROM outbox WHERE receiver = :receiver AND about = CAST(:about AS TEXT))
    AND due IS NULL;

-- name: postpone
UPDATE outbox SET due = :due, attempts = attempts + 1 WHERE number = :number;

-- name: count_dead
UPDATE receivers SET dead = dead + 1, error = CAST(:error AS TEXT)
WHERE receiver = :receiver AND EXISTS (SELECT 1 FROM outbox WHERE number = :number);

-- name: rows_of_outbox
SELECT count(*) AS count FROM outbox;

-- name: last_dropped
SELECT number FROM outbox ORDER BY number LIMIT 1 OFFSET :count - 1;

-- name: count_dropped
UPDATE receivers SET dropped = dropped
    + (SELECT count(*) FROM outbox WHERE outbox.receiver = receivers.receiver AND number <= :until);

-- name: drop_oldest
DELETE FROM outbox WHERE number <= :until;

-- name: make_oldest_due
UPDATE outbox SET due = 0.0
WHERE due IS NULL AND NOT EXISTS (
    SELECT 1 FROM outbox AS older
    WHERE older.receiver = outbox.receiver AND older.about = outbox.about AND older.number < outbox.number
);

-- name: outbox_counts
SELECT receiver, dead, dropped, error,
    (SELECT count(*) FROM outbox WHERE outbox.receiver = receivers.receiver) AS waiting
FROM receivers ORDER BY receiver;

-- name: add_holder
INSERT OR IGNORE INTO holders (file, entry, most, suspended)
VALUES (CAST(:file AS TEXT), CAST(:entry AS TEXT), :most, :suspended);

-- name: hold
INSERT INTO held (item_id, holder)
SELECT seen.value, holders.id FROM json_each(:item_ids) AS seen, holders
WHERE holders.file = CAST(:file AS TEXT) AND holders.entry = CAST(:entry AS TEXT)
    AND holders.most = :most AND holders.suspended = :suspended
ON CONFLICT (item_id) DO UPDATE SET holder = excluded.holder;

-- name: rename
UPDATE items SET entry = CAST(:entry AS TEXT)
WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND entry <> CAST(:entry AS TEXT);

-- name: release
DELETE FROM held WHERE item_id IN (SELECT value FROM json_each(:item_ids));

-- name: held
SELECT item_id, holder, file, entry, most, suspended FROM held JOIN holders ON holders.id = held.holder
WHERE item_id > :after ORDER BY item_id LIMIT :limit;

-- name: held_objects
SELECT count(*) AS count FROM held JOIN items USING (item_id)
WHERE held.holder IN (
    SELECT id FROM holders WHERE entry = CAST(:entry AS TEXT) AND file = CAST(:file AS TEXT)
) AND etag IS NOT NULL;

-- name: small_entries
SELECT holders.entry AS entry, count(*) AS count
FROM holders JOIN held ON held.holder = holders.id JOIN items USING (item_id)
WHERE holders.file = CAST(:file AS TEXT) AND etag IS NOT NULL
GROUP BY holders.entry HAVING count(*) <= :most;

-- name: save_options
INSERT OR IGNORE INTO options (digest, options) VALUES (:digest, :options);

-- name: options
SELECT options FROM options WHERE digest = :digest;
