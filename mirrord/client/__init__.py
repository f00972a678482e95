"""mirrord as a library: S3Client copies a buffer, a URL or a file into a bucket; MultipartUploader takes chunks.

Owns the interface for programs. The daemon's transfer code does the work: the same part sizes, checksums, proofs
and cleanup. There is no journal, and no whole transfer is retried; errors are those of `errors`. An upload is aborted
when its block fails; after kill -9, only a lifecycle rule of the store can abort it.
"""

from mirrord.client.s3_client import S3Client
from mirrord.client.uploader import MultipartUploader

__all__ = ["MultipartUploader", "S3Client"]
