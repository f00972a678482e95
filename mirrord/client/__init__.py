"""mirrord as a library: S3Client moves a buffer, a URL or a file into a bucket; MultipartUploader takes any chunks.

Owns the interface of SPEC section 6 over the daemon's own transfer code: the same cutting, checksums, proofs and undo.
Refuses to be a daemon: nothing is journaled and no whole transfer is tried again; errors are those of `errors`.
An upload is aborted when its block fails; after kill -9 only the store's lifecycle rules can do that.
"""

from mirrord.client.s3_client import S3Client
from mirrord.client.uploader import MultipartUploader

__all__ = ["MultipartUploader", "S3Client"]
