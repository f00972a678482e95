-- When CompleteMultipartUpload was last sent without a known outcome. NULL: never, or the store refused it. For an
-- upload that was completing under an older mirrord the time is unknown; the time of the migration counts.
ALTER TABLE transfers ADD COLUMN complete_requested REAL;
UPDATE transfers SET complete_requested = CAST(strftime('%s', 'now') AS REAL)
WHERE completing = 1 AND kind = 'multipart';
