-- Every statement of the journal, by name. Parameters as in SQLite: `:name`, or `?` in order; one that is cast to bytea is
-- bound as UTF-8 bytes (see schema.py). `$item` and the like are lists of columns: `*` would break prepared statements
-- of a process that runs while another one migrates.

-- name: save_record
INSERT INTO items (
    item_id, entry, source, store, endpoint, bucket, key, state, reason, message, since, next_check, revision,
    transfer_id, etag, size, checksum_kind, checksum_value, integrity, synced_at, options_digest,
    removed, dated, etag_from_head, listed_etag, began, made_from, folded_names, folded_entry
) VALUES (
    ?, ?::bytea, ?::bytea, ?::bytea, ?::bytea,
    ?::bytea, ?::bytea, ?, ?, ?::bytea, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?::boolean::integer, ?, (SELECT started FROM transfers WHERE id = ?), ?, ?::bytea, ?::bytea
)
ON CONFLICT (item_id) DO UPDATE SET
    entry = excluded.entry, source = excluded.source, store = excluded.store, endpoint = excluded.endpoint,
    bucket = excluded.bucket, key = excluded.key, state = excluded.state, reason = excluded.reason,
    message = excluded.message, since = excluded.since, next_check = excluded.next_check,
    revision = excluded.revision, transfer_id = excluded.transfer_id, etag = excluded.etag, size = excluded.size,
    checksum_kind = excluded.checksum_kind, checksum_value = excluded.checksum_value, integrity = excluded.integrity,
    synced_at = excluded.synced_at, options_digest = excluded.options_digest, removed = excluded.removed,
    dated = excluded.dated, etag_from_head = excluded.etag_from_head, listed_etag = excluded.listed_etag,
    began = CASE WHEN excluded.transfer_id IS NOT DISTINCT FROM items.transfer_id
        THEN coalesce(excluded.began, items.began) ELSE excluded.began END,
    made_from = excluded.made_from, folded_names = excluded.folded_names, folded_entry = excluded.folded_entry;

-- name: record
SELECT $item FROM items WHERE item_id = :item_id;

-- name: past_objects
SELECT $past_object FROM past_objects WHERE item_id = :item_id ORDER BY number DESC;

-- name: failures
SELECT at, entry, source, state, reason, message FROM failures WHERE item_id = :item_id ORDER BY number DESC;

-- name: recorded
SELECT $item FROM items WHERE item_id = ANY(:item_ids::text[]);

-- name: recorded_etags
SELECT item_id, size, etag, listed_etag FROM items
WHERE item_id = ANY(:item_ids::text[]) AND etag IS NOT NULL;

-- name: recorded_schedules
SELECT item_id, state, next_check, removed, options_digest,
    revision, NULL, NULL,
    entry
FROM items WHERE item_id = ANY(:item_ids::text[]);

-- name: unchanged
SELECT item_id, revision, entry = :entry::bytea AS of_entry FROM items
WHERE item_id = ANY(:item_ids::text[])
    AND removed IS NULL AND state = 'Synced' AND reason IS NULL AND message = '' AND revision IS NOT NULL
    AND options_digest = :options_digest AND (NOT :readback::boolean OR integrity IS NULL OR integrity = 'readback')
    AND NOT EXISTS (SELECT 1 FROM transfers WHERE transfers.item_id = items.item_id);

-- name: new_files
SELECT seen.key AS item_id FROM json_each(:files::json) WITH ORDINALITY AS seen (key, value, place)
WHERE NOT EXISTS (SELECT 1 FROM items WHERE items.item_id = seen.key COLLATE "C")
    AND NOT EXISTS (SELECT 1 FROM transfers WHERE transfers.item_id = seen.key COLLATE "C")
    AND NOT EXISTS (
        SELECT 1 FROM items
        WHERE made_from = concat_ws(', ', seen.value ->> 1, seen.value ->> 2, seen.value ->> 3) COLLATE "C"
            AND endpoint = :endpoint::bytea
    )
ORDER BY place;

-- name: dates
SELECT source, min(dated) AS dated FROM items
WHERE dated IS NOT NULL AND sha256(source) IN (SELECT sha256(one) FROM unnest(:sources::bytea[]) AS one)
    AND source = ANY(:sources::bytea[]) AND (removed IS NULL OR etag IS NOT NULL)
GROUP BY source;

-- name: records
SELECT $item FROM items WHERE item_id > :after ORDER BY item_id LIMIT :limit;

-- name: retire
UPDATE items SET removed = :removed WHERE item_id = :item_id AND removed IS NULL;

-- name: page
SELECT $item FROM items
WHERE item_id > :after AND item_id <= :until AND removed IS NULL AND (:state::text IS NULL OR state = :state::text)
    AND $mentioned
ORDER BY item_id LIMIT :limit;

-- name: page_mentioning
-- OFFSET 0: the table is read in its own order. In the order of ids, which are hashes, each row is another page of it.
SELECT $item FROM items JOIN (
    SELECT item_id AS found FROM (
        SELECT item_id FROM items
        WHERE item_id > :after AND item_id <= :until AND removed IS NULL
            AND (:state::text IS NULL OR state = :state::text) AND $mentioned
        OFFSET 0
    ) AS mentioning
    ORDER BY item_id LIMIT :limit
) AS wanted ON found = item_id
ORDER BY item_id;

-- name: page_out_of_sync
SELECT $item FROM items
WHERE removed IS NULL AND state <> 'Synced' AND state = :state AND item_id > :after AND item_id <= :until
    AND (:entry::bytea IS NULL OR entry = :entry::bytea)
    AND $mentioned
ORDER BY item_id LIMIT :limit;

-- name: page_of_entry
SELECT $item FROM items
WHERE removed IS NULL AND sha256(entry) = sha256(:entry::bytea) AND entry = :entry::bytea AND item_id > :after AND item_id <= :until
    AND (:state::text IS NULL OR state = :state::text)
    AND $mentioned
ORDER BY item_id LIMIT :limit;

-- name: state_by_since
SELECT $item FROM items
WHERE removed IS NULL AND state = :state AND (since, item_id) > (:value::float8, :item_id::text)
    AND (:entry::bytea IS NULL OR entry = :entry::bytea)
    AND $mentioned
ORDER BY since, item_id LIMIT :limit;

-- name: state_by_since_descending
SELECT $item FROM items
WHERE removed IS NULL AND state = :state AND (since, item_id) < (:value::float8, :item_id::text)
    AND (:entry::bytea IS NULL OR entry = :entry::bytea)
    AND $mentioned
ORDER BY since DESC, item_id DESC LIMIT :limit;

-- name: has_many
SELECT 1 FROM items WHERE removed IS NULL AND state = :state LIMIT 1 OFFSET :many;

-- name: last_row
-- One step: a long query delays no write, which are on another connection.
SELECT 1 AS last;

-- name: sorted_ids_by_object
SELECT item_id, value FROM (
    SELECT item_id, bucket || '\x2f'::bytea || key AS value
    FROM items
    WHERE removed IS NULL AND (:state::text IS NULL OR state = :state::text)
        AND (:entry::bytea IS NULL OR entry = :entry::bytea)
        AND $mentioned
) AS found
WHERE CASE
    WHEN :item_id::text IS NULL THEN true
    WHEN :descending::boolean THEN (value, item_id) < (:value::bytea, :item_id::text)
    ELSE (value, item_id) > (:value::bytea, :item_id::text)
END
ORDER BY CASE WHEN :descending::boolean THEN NULL ELSE value END, CASE WHEN :descending::boolean THEN value END DESC,
    CASE WHEN :descending::boolean THEN NULL ELSE item_id END, CASE WHEN :descending::boolean THEN item_id END DESC
LIMIT :limit;

-- name: sorted_ids_by_number
SELECT item_id, value FROM (
    SELECT item_id, CASE :by::text
        WHEN 'since' THEN since
        WHEN 'copied' THEN coalesce(synced_at, :missing::float8)
        ELSE coalesce(size::float8, :missing::float8)
    END AS value
    FROM items
    WHERE removed IS NULL AND (:state::text IS NULL OR state = :state::text)
        AND (:entry::bytea IS NULL OR entry = :entry::bytea)
        AND $mentioned
) AS found
WHERE CASE
    WHEN :item_id::text IS NULL THEN true
    WHEN :descending::boolean THEN (value, item_id) < (:value::float8, :item_id::text)
    ELSE (value, item_id) > (:value::float8, :item_id::text)
END
ORDER BY CASE WHEN :descending::boolean THEN NULL ELSE value END, CASE WHEN :descending::boolean THEN value END DESC,
    CASE WHEN :descending::boolean THEN NULL ELSE item_id END, CASE WHEN :descending::boolean THEN item_id END DESC
LIMIT :limit;

-- name: step_end
-- One step, as above.
SELECT item_id FROM items WHERE false;

-- name: item_ids_outside
SELECT entry, item_id FROM items
WHERE removed IS NULL AND item_id > :after AND NOT entry = ANY(:entries::bytea[])
ORDER BY item_id LIMIT :limit;

-- name: made_from
SELECT $item FROM items WHERE made_from = :file AND endpoint = :endpoint::bytea LIMIT :limit;

-- name: count
SELECT count(*) AS count FROM items
WHERE removed IS NULL AND sha256(entry) = sha256(:entry::bytea) AND entry = :entry::bytea;

-- name: entry_counts
WITH step AS (
    SELECT item_id, state, size FROM items
    WHERE removed IS NULL AND sha256(entry) = sha256(:entry::bytea) AND entry = :entry::bytea AND item_id > :after ORDER BY item_id LIMIT :step
)
SELECT state, count(*) AS count, coalesce(sum(size), 0)::bigint AS size, max(item_id) AS last FROM step GROUP BY state;

-- name: totals
SELECT state, count(*) AS count FROM items WHERE removed IS NULL GROUP BY state;

-- name: begin_transfer
INSERT INTO transfers (
    id, item_id, store, endpoint, bucket, key, revision, kind, part_size, largest_part, growth_step, started,
    checksum_kind, options_digest, upload_id, whole_kind, whole_value, settled, complete_requested, worker
) VALUES (
    ?, ?, ?::bytea, ?::bytea, ?::bytea, ?::bytea, ?,
    ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: opened
UPDATE transfers SET upload_id = :upload_id WHERE id = :id;

-- name: part_done
INSERT INTO parts (transfer_id, number, size, etag, checksum_kind, checksum_value)
SELECT id, :number::bigint, :size::bigint, :etag, :checksum_kind, :checksum_value
FROM transfers WHERE id = :transfer_id
ON CONFLICT (transfer_id, number) DO UPDATE SET
    size = excluded.size, etag = excluded.etag, checksum_kind = excluded.checksum_kind,
    checksum_value = excluded.checksum_value;

-- name: completing
UPDATE transfers
SET whole_kind = :whole_kind, whole_value = :whole_value, complete_requested = :complete_requested
WHERE id = :id;

-- name: complete_refused
UPDATE transfers SET complete_requested = NULL WHERE id = :id;

-- name: forget_transfer
DELETE FROM transfers WHERE id = :id;

-- name: forget_transfers
DELETE FROM transfers WHERE id = ANY(:ids::text[]);

-- name: give_up
UPDATE transfers SET settled = :settled WHERE id = :id AND settled IS NULL;

-- name: given_up
SELECT $transfer FROM transfers WHERE settled IS NOT NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: unfinished
SELECT $transfer FROM transfers WHERE settled IS NULL AND id > :after AND $ours ORDER BY id LIMIT :limit;

-- name: open_transfers
SELECT id, item_id FROM transfers WHERE id > :after ORDER BY id LIMIT :limit;

-- name: unfinished_of
SELECT $transfer FROM transfers WHERE item_id = :item_id AND settled IS NULL AND $ours ORDER BY started, id;

-- name: all_unfinished_of
SELECT $transfer FROM transfers
WHERE item_id = ANY(:item_ids::text[]) AND settled IS NULL AND $ours ORDER BY started, id;

-- name: open_of
SELECT $transfer FROM transfers WHERE item_id = :item_id ORDER BY started, id;

-- name: parts
SELECT number, size, etag, checksum_kind, checksum_value FROM parts WHERE transfer_id = :transfer_id ORDER BY number;

-- name: folder_root
SELECT device, inode FROM roots
WHERE sha256(entry) = sha256(:entry::bytea) AND sha256(path) = sha256(:path::bytea);

-- name: save_folder_root
INSERT INTO roots (entry, path, device, inode) VALUES (:entry::bytea, :path::bytea, :device, :inode)
ON CONFLICT (sha256(entry), sha256(path)) DO UPDATE SET device = excluded.device, inode = excluded.inode;

-- name: learned
SELECT endpoint, name, server, text, learned FROM learned WHERE learned >= :since ORDER BY endpoint, name;

-- name: learn
INSERT INTO learned (endpoint, name, server, text, learned)
VALUES (:endpoint::bytea, :name, :server::bytea, :text::bytea, :learned)
ON CONFLICT (sha256(endpoint), name) DO UPDATE SET
    server = excluded.server, text = excluded.text, learned = excluded.learned;

-- name: put_in_outbox
-- FOR KEY SHARE: another process may be deleting the older row. Then this waits, and the row is due.
INSERT INTO outbox (receiver, about, id, name, subject, time, data, due)
SELECT :receiver, :about::bytea, :id, :name, :subject::bytea, :time::float8, :data::bytea,
    CASE WHEN EXISTS (
        SELECT 1 FROM outbox WHERE receiver = :receiver AND sha256(about) = sha256(:about::bytea) FOR KEY SHARE
    ) THEN NULL ELSE 0.0 END
WHERE EXISTS (SELECT 1 FROM receivers WHERE receiver = :receiver) AND CASE WHEN :if_out_of_sync::boolean THEN EXISTS (
    SELECT 1 FROM items
    WHERE item_id = convert_from(:about::bytea, 'UTF8') AND state <> 'Synced' AND removed IS NULL
) ELSE true END;

-- name: add_alarm
INSERT INTO alarms (item_id, stale)
SELECT item_id, :stale::boolean::integer FROM items
WHERE item_id = :item_id AND state <> 'Synced' AND removed IS NULL
ON CONFLICT (item_id) DO UPDATE SET stale = greatest(alarms.stale, excluded.stale);

-- name: clear_alarm
DELETE FROM alarms WHERE item_id = :item_id;

-- name: not_stale
UPDATE alarms SET stale = 0 WHERE item_id = :item_id;

-- name: clear_left
DELETE FROM alarms WHERE item_id = :item_id
    AND NOT EXISTS (SELECT 1 FROM items WHERE item_id = :item_id AND removed IS NULL);

-- name: alarms
SELECT item_id FROM alarms WHERE item_id = ANY(:item_ids::text[]);

-- name: recovered
SELECT $item FROM alarms JOIN items USING (item_id)
WHERE item_id > :after AND state = 'Synced' AND removed IS NULL ORDER BY item_id LIMIT :limit;

-- name: stale
SELECT item_id FROM alarms WHERE stale = 1 AND item_id > :after ORDER BY item_id LIMIT :limit;

-- name: add_receiver
INSERT INTO receivers (receiver) VALUES (:receiver) ON CONFLICT DO NOTHING;

-- name: forget_receivers
DELETE FROM receivers WHERE NOT receiver = ANY(:kept::text[]);

-- name: forget_rows
DELETE FROM outbox WHERE NOT receiver = ANY(:kept::text[]);

-- name: due
SELECT number, receiver, about, id, name, subject, time, data, attempts FROM outbox
WHERE receiver = :receiver AND due IS NOT NULL AND due > :after AND due <= :until ORDER BY due, number LIMIT :limit;

-- name: next_due
SELECT min(due) AS due FROM outbox WHERE receiver = :receiver AND due IS NOT NULL;

-- name: leave_outbox
DELETE FROM outbox WHERE number = :number;

-- name: make_due
UPDATE outbox SET due = 0.0
WHERE number = (SELECT min(number) FROM outbox WHERE receiver = :receiver AND sha256(about) = sha256(:about::bytea))
    AND due IS NULL;

-- name: postpone
UPDATE outbox SET due = :due, attempts = attempts + 1 WHERE number = :number;

-- name: count_dead
UPDATE receivers SET dead = dead + 1, error = :error::bytea
WHERE receiver = :receiver AND EXISTS (SELECT 1 FROM outbox WHERE number = :number);

-- name: rows_of_outbox
SELECT count(*) AS count FROM outbox;

-- name: last_dropped
SELECT number FROM outbox ORDER BY number LIMIT 1 OFFSET :count::bigint - 1;

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
INSERT INTO holders (file, entry, most, suspended)
VALUES (:file::bytea, :entry::bytea, :most, :suspended::boolean::integer) ON CONFLICT DO NOTHING;

-- name: hold
INSERT INTO held (item_id, holder)
SELECT DISTINCT seen, holders.id FROM unnest(:item_ids::text[]) AS seen, holders
WHERE sha256(holders.file) = sha256(:file::bytea) AND sha256(holders.entry) = sha256(:entry::bytea)
    AND holders.most = :most AND holders.suspended = :suspended::boolean::integer
ON CONFLICT (item_id) DO UPDATE SET holder = excluded.holder;

-- name: rename
UPDATE items SET entry = :entry::bytea, folded_entry = :folded_entry::bytea
WHERE item_id = ANY(:item_ids::text[]) AND entry <> :entry::bytea;

-- name: release
DELETE FROM held WHERE item_id = ANY(:item_ids::text[]);

-- name: held
SELECT item_id, holder, file, entry, most, suspended FROM held JOIN holders ON holders.id = held.holder
WHERE item_id > :after ORDER BY item_id LIMIT :limit;

-- name: held_objects
SELECT count(*) AS count FROM held JOIN items USING (item_id)
WHERE held.holder IN (
    SELECT id FROM holders WHERE entry = :entry::bytea AND file = :file::bytea
) AND etag IS NOT NULL;

-- name: small_entries
SELECT holders.entry AS entry, count(*) AS count
FROM holders JOIN held ON held.holder = holders.id JOIN items USING (item_id)
WHERE holders.file = :file::bytea AND etag IS NOT NULL
GROUP BY holders.entry HAVING count(*) <= :most;

-- name: save_options
INSERT INTO options (digest, options) VALUES (:digest, :options) ON CONFLICT DO NOTHING;

-- name: options
SELECT options FROM options WHERE digest = :digest;

-- name: last_written
SELECT max(written) AS written FROM lease;
