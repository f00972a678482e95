"""Manifests: the schema, reading with positions, discovery of files. Hands on validated values; knows no items."""
