"""Checksums: the only importer of awscrt."""
