"""MultipartUploader: writes one object from chunks of any size, in parts. The object appears complete or not at all.

Owns the public interface; `transfer.multipart` and `transfer.part_builder` do the work.
"""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from mirrord.client.connection import StoreConnection
from mirrord.frozen import frozen
from mirrord.model import META_TRANSFER, Destination, ObjectOptions, Observed, Part, PartSizes, ProviderName, Revision
from mirrord.planning.decisions.describe import described
from mirrord.planning.transfers.parts import growing
from mirrord.ports import ObjectStore
from mirrord.providers import profile
from mirrord.s3.session import S3Store
from mirrord.transfer import proof
from mirrord.transfer.budget import Budget
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.part_builder import PartBuilder
from mirrord.transfer.spec import NewObject, TransferContext
from mirrord.units import MiB

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client as AiobotocoreClient

MIN_PART = 5 * MiB
EQUAL_PART = 32 * MiB
"""Used if all parts must have the same size and the length is unknown: 312 GiB in 10,000 parts."""
LARGEST_PART = 64 * MiB
"""Of parts that are collected from smaller chunks."""
BytesLike = bytes | bytearray | memoryview


@frozen
class _OpenUpload:
    """The state of an uploader inside its block."""

    multipart: MultipartUpload
    builder: PartBuilder


class MultipartUploader:
    """`async with MultipartUploader(client=…, bucket=…, key=…) as up: await up.upload_part(chunk)`.

    If the block ends without an error, the upload is completed. An error or a cancellation aborts it; the previous
    object is unchanged. If the completed object has another length or checksum than was sent, LengthMismatch or
    ChecksumMismatch is raised. `client` is an S3Client, or an open aiobotocore S3 client, which the caller closes
    (`provider` then selects its limits). A chunk of 5 MiB or more is one part, together with smaller bytes before it.
    Smaller chunks are collected to parts of 5 MiB; the size grows with the part's number, up to 64 MiB. With
    `part_size`, and if the store requires equal parts (R2), all parts except the last have the same size. With
    `concurrency` 1, `upload_part` returns when the parts that it filled are stored; with a larger value, up to that
    many parts are sent while the caller continues. Memory: (concurrency + 1) x the largest part. Only one task at a
    time may call.
    """

    def __init__(
        self,
        client: "StoreConnection | AiobotocoreClient",
        bucket: str,
        key: str,
        *,
        part_size: int | None = None,
        concurrency: int = 1,
        options: ObjectOptions | None = None,
        provider: str = "generic",
    ) -> None:
        self._client = client
        self._at = Destination("client", "", bucket, key)
        self._part_size = part_size
        self._concurrency = concurrency
        self._options = options
        self._provider = profile(ProviderName(provider))
        self._pool: Budget | None = None
        self._contexts = AsyncExitStack()
        self._upload: _OpenUpload | None = None
        self.is_loading = True
        """True until the object is completed; it stays True after an abort."""
        self.mpu: dict[str, str] | None = None
        """The answer of CreateMultipartUpload (Bucket, Key, UploadId); None before the block starts."""

    @property
    def parts(self) -> list[dict[str, int | str]]:
        """The parts stored so far, in the form of CompleteMultipartUpload: PartNumber and ETag."""
        return [{"PartNumber": part.number, "ETag": part.etag} for part in self._stored()]

    @property
    def part_number(self) -> int:
        """The number of the next part, from 1."""
        return (self._upload.multipart.started if self._upload else 0) + 1

    @property
    def uploaded_size(self) -> float:
        """The size of the parts stored so far, in MiB."""
        return sum(part.size for part in self._stored()) / MiB

    async def __aenter__(self) -> Self:
        if self._upload is not None:
            raise RuntimeError("an uploader makes one object: create another for the next")
        async with AsyncExitStack() as contexts:
            store = await self._open_store(contexts)
            sizes = self._part_sizes(store)
            budget = self._pool or Budget(sizes.first * (self._concurrency + 1))
            new = NewObject(at=self._at, options=self._described(), checksum=store.provider.checksum)
            upload = MultipartUpload(TransferContext(store=store, budget=budget), new, concurrency=self._concurrency)
            await contexts.enter_async_context(upload)
            builder = PartBuilder(upload, budget, sizes, whole_chunks=self._whole_chunks(store))
            contexts.callback(builder.close)
            self._upload, self._contexts = _OpenUpload(upload, builder), contexts.pop_all()
        self.mpu = {"Bucket": self._at.bucket, "Key": self._at.key, "UploadId": str(upload.upload_id)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            await self._contexts.__aexit__(kind, error, trace)
            return
        upload = self._open_upload()
        async with self._contexts:
            await upload.builder.end()
            stored, whole = await upload.multipart.complete()
        parts = self._stored()
        proof.of_multipart(whole, parts, stored, sum(part.size for part in parts))
        self.is_loading = False

    async def upload_part(self, chunk: BytesLike) -> None:
        """Add `chunk`, of any size (also 0). It is copied, so its memory may be reused afterwards.

        Raises the error of any part that failed: EntityTooSmall, InvalidPart, NoSuchUpload, StoreUnavailable …
        """
        upload = self._open_upload()
        with memoryview(chunk) as content, content.cast("B") as body:
            await upload.builder.take(body)
        if self._concurrency == 1:
            await upload.multipart.wait_for_parts()

    def _stored(self) -> list[Part]:
        return [part for _, part in sorted(self._upload.multipart.parts.items())] if self._upload else []

    def _open_upload(self) -> _OpenUpload:
        if self._upload is None or self.mpu is None:
            raise RuntimeError("the upload is not open: use `async with`")
        return self._upload

    def _whole_chunks(self, store: ObjectStore) -> int | None:
        """The size up to which a chunk is one part; None: parts may not differ, or another upload uses the pool."""
        equal = store.provider.equal_parts or self._part_size is not None or self._pool is not None
        return None if equal else store.provider.max_part

    def _part_sizes(self, store: ObjectStore) -> PartSizes:
        asked, least = self._part_size, max(MIN_PART, store.provider.min_part)
        if asked is not None and asked < least:
            raise ValueError(f"part_size is {asked:,}; {store.provider.name} takes parts of {least:,} bytes or more")
        if asked is not None:
            return PartSizes.equal(asked)
        if store.provider.equal_parts:
            return PartSizes.equal(max(least, EQUAL_PART))
        return growing(least, max(least, LARGEST_PART), store.provider)

    async def _open_store(self, contexts: AsyncExitStack) -> ObjectStore:
        if isinstance(self._client, StoreConnection):
            return (await contexts.enter_async_context(self._client.open())).store
        return S3Store.over(self._client, self._provider)

    def _described(self) -> ObjectOptions:
        if self._options is not None and META_TRANSFER in self._options.metadata:
            return self._options
        unknown = Observed(revision=Revision(address="chunks"))
        return described(self._options or ObjectOptions(), unknown, self._at.key, uuid4().hex)


class SharedPoolUploader(MultipartUploader):
    """A MultipartUploader that uses the buffer pool of an S3Client, for an object whose options are known."""

    def __init__(self, connection: StoreConnection, new: NewObject, sizes: PartSizes, *, concurrency: int) -> None:
        super().__init__(connection, new.at.bucket, new.at.key, concurrency=concurrency, options=new.options)
        self._pool = connection.budget
        self._sizes = sizes

    def _part_sizes(self, store: ObjectStore) -> PartSizes:  # noqa: ARG002 - the signature of MultipartUploader
        return self._sizes
