"""S3Client: a buffer, a URL or a file into a bucket, in one awaited call each.

Owns the four calls of SPEC section 6, over the daemon's own transfer code. No whole transfer is tried again.
"""

import os
from io import BytesIO
from uuid import uuid4

from mirrord import checksums
from mirrord.client.connection import OpenConnection, StoreConnection
from mirrord.client.uploader import BytesLike, MultipartUploader, SharedPoolUploader
from mirrord.errors import SourceUnavailable
from mirrord.model import Item, ObjectOptions, Observed, Revision, UploadOptions, Url
from mirrord.planning.decisions.describe import described
from mirrord.planning.transfers.parts import part_layout
from mirrord.ports import Source
from mirrord.providers import profile
from mirrord.sources.file import FileSource
from mirrord.sources.reader import Reader, ReaderSource
from mirrord.transfer import proof
from mirrord.transfer.copy import copy
from mirrord.transfer.part_reader import PartReader
from mirrord.transfer.put import put, put_body
from mirrord.transfer.spec import NewObject, TransferContext, TransferSpec
from mirrord.units import MiB

CHUNK = MiB
STREAMS = 4

LocalPath = str | os.PathLike[str]


class S3Client(StoreConnection):
    """One store and its credentials. Bare, each call opens and closes a client; in `async with`, one is kept open.

    `endpoint_url=""` is AWS. Without keys, the AWS chain (environment, files, roles) is asked. `provider` (a name of
    the manifest's) picks limits and checksums: `aws` without an endpoint, else `generic`, whose MD5 every store checks.
    `memory_limit` (bytes) bounds the buffers of all streamed calls of this client together.
    """

    async def upload_file(self, bucket: str, path: str, buffer: BytesLike | BytesIO) -> None:
        """Store `buffer` (a BytesIO: all of it, wherever it stands) under the key `path`, in one put of up to 5 GiB."""
        spec = self._spec(bucket, path, Observed(revision=Revision(address="buffer")), None)
        content = buffer.getbuffer() if isinstance(buffer, BytesIO) else memoryview(buffer)
        with content, content.cast("B") as body:
            checksum = await checksums.digest(spec.new.checksum, body)
            async with self.open() as opened:
                stored = await put_body(spec.new, self._context(opened), body, checksum)
            proof.of_put(checksum, stored, len(body))

    async def fetch_and_upload(self, bucket: str, path: str, url: str) -> None:
        """Fetch `url` whole into memory and store it in one put. For large things, `stream_upload`."""
        async with self.open() as opened, self._source(opened, bucket, path, url) as source:
            observed = await _probe(source)
            content = await _read_whole(source, observed)
            spec = self._spec(bucket, path, observed, len(content))
            await put(spec, source, observed, self._context(opened), memoryview(content))

    async def stream_upload(self, bucket: str, path: str, url: str) -> None:
        """Fetch `url` and store it in parts while it comes, through MultipartUploader."""
        async with self.open() as opened, self._source(opened, bucket, path, url) as source:
            observed = await _probe(source)
            spec = self._spec(bucket, path, observed, observed.revision.length)
            part_size = max(spec.layout.part_size, opened.store.provider.min_part)
            async with SharedPoolUploader(self, spec.new, part_size=part_size, concurrency=STREAMS) as uploader:
                await _push(source, observed, uploader)

    async def stream_file(self, bucket: str, path: str, file: LocalPath | Reader) -> None:
        """Store a file in bounded memory: one put if it is small, in parts if not.

        `file` is a path, or an open binary file or async reader (anything with `read(n)`), which is read from where
        it stands and left open. A file at a path that changes meanwhile raises SourceChanged and stores nothing.
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
    """A path means the file that it leads to: unlike a manifest's, it may be a symbolic link."""
    return FileSource(os.path.realpath(file)) if isinstance(file, str | os.PathLike) else ReaderSource(file)
