"""S3Client: copies a buffer, a URL or a file into a bucket, with one awaited call each.

Owns the four calls of the interface for programs. `transfer` does the work. No whole transfer is retried.
"""

import os
from io import BytesIO
from uuid import uuid4

from mirrord import checksums
from mirrord.client.connection import OpenConnection, StoreConnection
from mirrord.client.uploader import BytesLike, MultipartUploader, SharedPoolUploader
from mirrord.errors import SourceUnavailable
from mirrord.model import Item, ObjectOptions, Observed, PartSizes, Revision, TransferKind, UploadOptions, Url
from mirrord.planning.decisions.describe import described
from mirrord.planning.transfers.parts import part_layout
from mirrord.ports import Source
from mirrord.providers import profile
from mirrord.sources.file import FileSource
from mirrord.sources.reader import Reader, ReaderSource
from mirrord.transfer import proof
from mirrord.transfer.copy import copy
from mirrord.transfer.part_reader import PartReader
from mirrord.transfer.put import put, put_request, put_write
from mirrord.transfer.spec import NewObject, TransferContext, TransferSpec
from mirrord.units import MiB

CHUNK = MiB
CONCURRENCY = 4

LocalPath = str | os.PathLike[str]


class S3Client(StoreConnection):
    """One store and its credentials. In `async with`, one connection stays open; else each call opens and closes one.

    `endpoint_url=""` is AWS. Without keys, the credentials come from the AWS chain (environment, files, roles).
    `provider` (a name of the manifest's `stores`) selects limits and checksums. The default is `aws` without an
    endpoint, else `generic`, with MD5, which every store verifies. `memory_limit` (bytes) is the limit of the buffers
    of all streamed calls of this client together.
    """

    async def upload_file(self, bucket: str, path: str, buffer: BytesLike | BytesIO) -> None:
        """Store `buffer` under the key `path`, in one put of at most 5 GiB. Of a BytesIO, all bytes are stored."""
        spec = self._spec(bucket, path, Observed(revision=Revision(address="buffer")), None)
        content = buffer.getbuffer() if isinstance(buffer, BytesIO) else memoryview(buffer)
        with content, content.cast("B") as body:
            checksum = await checksums.digest(spec.new.checksum, body)
            async with self.open() as opened:
                new, context = spec.new, self._context(opened)
                request = put_request(new, context, body, checksum)
                stored = await put_write(new, context, len(body), checksum).resolve(request)
            proof.of_put(checksum, stored, len(body))

    async def fetch_and_upload(self, bucket: str, path: str, url: str) -> None:
        """Fetch `url` into memory and store it in one put. Use `stream_upload` for large files."""
        async with self.open() as opened, self._source(opened, bucket, path, url) as source:
            observed = await _probe(source)
            content = await _read_whole(source, observed)
            spec = self._spec(bucket, path, observed, len(content))
            await put(spec, source, observed, self._context(opened), memoryview(content))

    async def stream_upload(self, bucket: str, path: str, url: str) -> None:
        """Fetch `url` and store it in parts while it arrives, with MultipartUploader."""
        async with self.open() as opened, self._source(opened, bucket, path, url) as source:
            observed = await _probe(source)
            spec = self._spec(bucket, path, observed, observed.revision.length)
            sizes = spec.layout.sizes
            if spec.layout.kind is TransferKind.PUT:
                sizes = PartSizes.equal(max(sizes.first, opened.store.provider.min_part))
            async with SharedPoolUploader(self, spec.new, sizes, concurrency=CONCURRENCY) as uploader:
                await _push(source, observed, uploader)

    async def stream_file(self, bucket: str, path: str, file: LocalPath | Reader) -> None:
        """Store a file in bounded memory: one put for a small file, parts for a large one.

        `file` is a path, or an open binary file or async reader (any object with `read(n)`). An open file is read from
        its current position and stays open. If the file at a path changes meanwhile, SourceChanged is raised and
        nothing is stored.
        """
        async with self.open() as opened, _file_source(file) as source:
            observed = await _probe(source)
            spec = self._spec(bucket, path, observed, observed.revision.length)
            await copy(spec, source, observed, self._context(opened))

    def _context(self, opened: OpenConnection) -> TransferContext:
        return TransferContext(store=opened.store, budget=self.budget, etags=self.etags)

    def _spec(self, bucket: str, key: str, observed: Observed, length: int | None) -> TransferSpec:
        at, provider, transfer = self.at(bucket, key), profile(self.options.provider), uuid4().hex
        return TransferSpec(
            transfer_id=transfer,
            new=NewObject(
                at=at,
                options=described(ObjectOptions(), observed, key, transfer),
                checksum=provider.checksum,
            ),
            layout=part_layout(length, UploadOptions(), provider, self.budget.limit),
        )

    def _source(self, opened: OpenConnection, bucket: str, key: str, url: str) -> Source:
        at = self.at(bucket, key)
        return opened.http.source(Item(id=at.item_id, entry="client", origin=Url(url), destination=at))


async def _probe(source: Source) -> Observed:
    observed = await source.probe()
    if observed is None:
        raise SourceUnavailable("the source answered that nothing changed, though nothing was known")
    return observed


async def _read_whole(source: Source, observed: Observed) -> bytearray:
    content, piece = bytearray(), memoryview(bytearray(CHUNK))
    async with source.open(observed) as stream:
        reader = PartReader(stream, length=observed.revision.length)
        while size := await reader.fill(piece):
            content += piece[:size]
        reader.end()
    return content


async def _push(source: Source, observed: Observed, uploader: MultipartUploader) -> None:
    chunk = memoryview(bytearray(CHUNK))
    async with source.open(observed) as stream:
        reader = PartReader(stream, length=observed.revision.length)
        while size := await reader.fill(chunk):
            await uploader.upload_part(chunk[:size])
        reader.end()
    await source.confirm(observed)


def _file_source(file: LocalPath | Reader) -> Source:
    """The source of a file. A path may be a symbolic link to the file, unlike in a manifest."""
    return FileSource(os.path.realpath(file)) if isinstance(file, str | os.PathLike) else ReaderSource(file)
