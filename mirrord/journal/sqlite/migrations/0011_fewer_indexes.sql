-- Item ids are hashes, so each index costs a new record a page of the -wal file: with these three 70 us a record, without
-- 45 us. Nearly all items are Synced, so an index of the others suffices: a page of Synced items is read in steps
-- (journal.py). `entry` is in it so that no record is read of another entry.
DROP INDEX items_in_force;
DROP INDEX items_by_state;
DROP INDEX items_by_entry_and_state;
CREATE INDEX items_out_of_sync ON items (state, item_id, entry, removed) WHERE removed IS NULL AND state <> 'Synced';
