"""Transfers one revision of one item: `copy` (one attempt), single puts, multipart uploads, and the buffer pool."""
