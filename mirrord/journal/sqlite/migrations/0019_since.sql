-- The order of the page: by state, then by what changed last. Times grow, so a new row is at the end of its state and costs
-- no page of its own, other than an index that begins with an id.
CREATE INDEX items_by_since ON items (state, since, item_id) WHERE removed IS NULL;
