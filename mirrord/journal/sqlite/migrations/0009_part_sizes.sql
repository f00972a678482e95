-- The sizes of an upload's parts follow from their numbers: `part_size` is that of the first, it doubles after each
-- `growth_step` parts, up to `largest_part`. NULL in a row of an older journal: all parts have `part_size`.
ALTER TABLE transfers ADD COLUMN largest_part INTEGER;
ALTER TABLE transfers ADD COLUMN growth_step INTEGER;
