"""Manifests: the schema, reading with positions, finding of files. Returns validated values; items are made in
`planning`."""
