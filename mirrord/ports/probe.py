"""The port through which `doctor` looks at a store: the calls of a store, and what no transfer needs.

Each call is sent once. Errors are those of `ObjectStore`.
"""

from typing import Protocol

from mirrord.errors import StoreError
from mirrord.frozen import frozen
from mirrord.model import Checksum, Destination, Part, StoredObject
from mirrord.ports.store import ObjectStore


@frozen
class BucketAnswer:
    """The answer to a HEAD of a bucket. `server` is its Server header and `region` the one that it names (empty: none),
    `date` the store's time in seconds since the epoch; `error`: why it is no success."""

    server: str = ""
    region: str = ""
    date: float | None = None
    error: StoreError | None = None


class StoreProbe(ObjectStore, Protocol):
    """One open store, for the checks and measurements of `doctor`."""

    async def bucket_answer(self, bucket: str) -> BucketAnswer:
        """HeadBucket, with what the answer shows. A failure is in the answer."""

    async def blocked_encryption(self, bucket: str) -> tuple[str, ...]:
        """GetBucketEncryption: the kinds of encryption that writes may not ask for, like `SSE-C`; empty: none is named.

        StoreRefused: the store, or the bucket, has no such configuration."""

    async def put_if_match(self, at: Destination, body: memoryview, etag: str) -> StoredObject:
        """PutObject with If-Match: raises PreconditionFailed if the object has another ETag."""

    async def complete_if_match(self, at: Destination, upload_id: str, parts: list[Part], etag: str) -> StoredObject:
        """CompleteMultipartUpload with If-Match, as `put_if_match`."""

    async def put_with_trailer(self, at: Destination, body: memoryview, checksum: Checksum | None) -> None:
        """PutObject of a body in the coding `aws-chunked`, with the checksum in its trailer. ChecksumMismatch: the
        store compared it."""

    async def put_with_customer_key(self, at: Destination, body: memoryview) -> None:
        """PutObject that is encrypted with a key of this request (SSE-C), which is then forgotten."""

    async def delete_version(self, at: Destination, version_id: str) -> None:
        """DeleteObject of one version, or of one delete marker."""
