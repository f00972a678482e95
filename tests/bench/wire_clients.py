"""Clients that could send mirrord's frequent calls, behind one small interface.

Libraries are imported by the client that uses them, so that a process of `wire_loads` has the memory of one client.
obstore is taken from `.venv-bench`: mirrord does not depend on it.
"""

import asyncio
import base64
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

KIB, MIB = 1024, 1024 * 1024
PART, PARTS_IN_FLIGHT = 8 * MIB, 4
BUCKET, REGION = "bucket", "us-east-1"
ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key"
_BENCH_PACKAGES = Path(__file__).resolve().parents[2] / ".venv-bench/lib"


class Client(Protocol):
    """A candidate: both calls send a CRC64NVME and raise if the store refuses."""

    async def put(self, key: str, body: memoryview) -> None: ...

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        """One object in parts of PART bytes, PARTS_IN_FLIGHT at a time."""


class Refused(Exception):
    """The store answered with an error; the text has its status."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What the bare clients send: path, and headers without the signature."""

    path: str
    headers: list[tuple[str, str]]


def _request(method: str, key: str, body: memoryview) -> SentRequest:
    from awscrt.checksums import crc64nvme

    crc = [crc64nvme(body).to_bytes(8, "big")] if method == "PUT" else []
    return SentRequest(
        f"/{BUCKET}/{key}", [("x-amz-checksum-crc64nvme", base64.b64encode(one).decode()) for one in crc]
    )


async def _in_parts(send: Callable[[str, str, str, memoryview], Any], key: str, parts: Iterator[memoryview]) -> None:
    """A multipart upload by `send(method, key, query, body) -> body of the answer`."""
    answer = await send("POST", key, "uploads=", memoryview(b""))
    upload = answer.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    numbered, count = enumerate(parts, 1), 0

    async def worker() -> None:
        nonlocal count
        for number, part in numbered:
            await send("PUT", key, f"partNumber={number}&uploadId={upload}", part)
            count = max(count, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(PARTS_IN_FLIGHT):
            group.create_task(worker())
    listed = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>x</ETag></Part>" for number in range(1, count + 1))
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    await send("POST", key, f"uploadId={upload}", memoryview(document))


# ── mirrord's store: our own client, or the SDK ───────────────────────────────────────────────────
class StoreClient:
    """Through the port ObjectStore, as mirrord calls it: arguments, signature, deadline, errors."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def put(self, key: str, body: memoryview) -> None:
        from mirrord import checksums
        from mirrord.model import ChecksumKind, ObjectOptions

        checksum = checksums.compute(ChecksumKind.CRC64NVME, body)
        await self._store.put_object(self._at(key), body, ObjectOptions(), checksum)

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        from mirrord import checksums
        from mirrord.model import ChecksumKind, ObjectOptions

        kind, at = ChecksumKind.CRC64NVME, self._at(key)
        upload, done, numbered = await self._store.create_upload(at, ObjectOptions(), kind), [], enumerate(parts, 1)

        async def worker() -> None:
            for number, part in numbered:
                checksum = await checksums.digest(kind, part)
                done.append(await self._store.upload_part(at, upload, number, part, checksum))

        async with asyncio.TaskGroup() as group:
            for _ in range(PARTS_IN_FLIGHT):
                group.create_task(worker())
        done.sort(key=lambda part: part.number)
        whole = checksums.combine(kind, [(part.checksum, part.size) for part in done])
        await self._store.complete_upload(at, upload, done, whole)

    def _at(self, key: str) -> Any:
        from mirrord.model import Destination

        return Destination("default", "endpoint", BUCKET, key)


@asynccontextmanager
async def store_client(endpoint: str, wire: str) -> AsyncIterator[Client]:
    from mirrord.declared import Credentials, RequestOptions, StoreOptions
    from mirrord.model import ProviderName
    from mirrord.s3.session import S3Store

    options = StoreOptions(
        name="default",
        provider=ProviderName.SEAWEEDFS,
        endpoint_url=endpoint,
        region=REGION,
        requests=RequestOptions(addressing="path", wire=wire),
        credentials=Credentials.of(ACCESS_KEY, SECRET_KEY),
    )
    async with S3Store(options) as store:
        yield StoreClient(store)


# ── our own client and signer, without the store around them ──────────────────────────────────────
class OwnClient:
    def __init__(self, client: Any, endpoint: str) -> None:
        self._client = client
        self._signing = OwnSigning(endpoint)

    async def put(self, key: str, body: memoryview) -> None:
        await self._send("PUT", key, "", body)

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        await _in_parts(self._send, key, parts)

    async def _send(self, method: str, key: str, query: str, body: memoryview) -> bytes:
        sent = _request(method, key, body)
        target = f"{sent.path}?{query}" if query else sent.path
        headers = self._signing.signed(method, sent, query)
        answer = await self._client.send(method, target, headers, body, repeatable=bool(query), max_body=MIB)
        if answer.status >= 300:
            raise Refused(str(answer.status))
        return bytes(answer.body)


class OwnSigning:
    """The signer of `s3/wire` with fixed keys."""

    def __init__(self, endpoint: str) -> None:
        from mirrord.s3.wire.signing import AccessKeys, Signer

        self._host = urlsplit(endpoint).netloc
        self._signer = Signer(REGION)
        self._keys = AccessKeys(ACCESS_KEY, SECRET_KEY)

    def signed(self, method: str, sent: SentRequest, query: str) -> list[tuple[str, str]]:
        from mirrord.s3.wire.signing import UNSIGNED_PAYLOAD, CanonicalRequest, time_stamp

        canonical = CanonicalRequest(method, sent.path, query, [("host", self._host), *sent.headers])
        return self._signer.sign(canonical, UNSIGNED_PAYLOAD, self._keys, time_stamp(time.time()))


@asynccontextmanager
async def own_client(endpoint: str) -> AsyncIterator[Client]:
    from mirrord.s3.wire.http import WireClient

    async with WireClient(endpoint) as client:
        yield OwnClient(client, endpoint)


# ── aiohttp with our signer ───────────────────────────────────────────────────────────────────────
class AiohttpClient:
    def __init__(self, session: Any, endpoint: str) -> None:
        self._session = session
        self._endpoint = endpoint
        self._signing = OwnSigning(endpoint)

    async def put(self, key: str, body: memoryview) -> None:
        await self._send("PUT", key, "", body)

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        await _in_parts(self._send, key, parts)

    async def _send(self, method: str, key: str, query: str, body: memoryview) -> bytes:
        from yarl import URL

        sent = _request(method, key, body)
        signed = self._signing.signed(method, sent, query)
        url = URL(f"{self._endpoint}{sent.path}?{query}" if query else self._endpoint + sent.path, encoded=True)
        async with self._session.request(method, url, data=_sliced(body), headers=_sized(signed, body)) as answer:
            if answer.status >= 300:
                raise Refused(str(answer.status))
            return bytes(await answer.read())


def _sized(headers: list[tuple[str, str]], body: memoryview) -> list[tuple[str, str]]:
    return [*headers, ("content-length", str(len(body)))]


def _sliced(body: memoryview) -> Any:
    """Small bodies at once; large ones in slices, because asyncio copies the unsent rest of a large write."""
    if len(body) <= 256 * KIB:
        return bytes(body)

    async def slices() -> AsyncIterator[memoryview]:
        for start in range(0, len(body), 256 * KIB):
            yield body[start : start + 256 * KIB]

    return slices()


@asynccontextmanager
async def aiohttp_client(endpoint: str) -> AsyncIterator[Client]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        yield AiohttpClient(session, endpoint)


# ── awscrt: HTTP connection and signer, without its S3 client ─────────────────────────────────────
class AwscrtClient:
    def __init__(self, endpoint: str) -> None:
        from awscrt import auth, io

        self._address = urlsplit(endpoint)
        self._group = io.EventLoopGroup(1)
        self._bootstrap = io.ClientBootstrap(self._group, io.DefaultHostResolver(self._group))
        self._credentials = auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET_KEY)
        self._idle: list[Any] = []

    async def put(self, key: str, body: memoryview) -> None:
        await self._send("PUT", key, "", body)

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        await _in_parts(self._send, key, parts)

    async def _send(self, method: str, key: str, query: str, body: memoryview) -> bytes:
        from awscrt import http

        sent = _request(method, key, body)
        headers = http.HttpHeaders([("host", self._address.netloc), *_sized(sent.headers, body)])
        request = http.HttpRequest(
            method, f"{sent.path}?{query}" if query else sent.path, headers, _BodyStream(body) if body else None
        )
        await asyncio.wrap_future(self._signing(request))
        connection = self._idle.pop() if self._idle else await self._connected()
        chunks: list[bytes] = []
        stream = connection.request(request, None, lambda http_stream, chunk, **_: chunks.append(bytes(chunk)))
        stream.activate()
        try:
            status = await asyncio.wrap_future(stream.completion_future)
        except BaseException:
            connection.close()  # a stream cannot be cancelled otherwise
            raise
        self._idle.append(connection)
        if status >= 300:
            raise Refused(str(status))
        return b"".join(chunks)

    def _signing(self, request: Any) -> Any:
        from awscrt import auth

        config = auth.AwsSigningConfig(
            credentials_provider=self._credentials,
            region=REGION,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value="UNSIGNED-PAYLOAD",
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        return auth.aws_sign_request(request, config)

    async def _connected(self) -> Any:
        from awscrt import http

        host, port = self._address.hostname or "", self._address.port or 80
        return await asyncio.wrap_future(http.HttpClientConnection.new(host, port, self._bootstrap))

    async def close(self) -> None:
        for connection in self._idle:
            connection.close()


class _BodyStream:
    """The part of a file that awscrt reads."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def readinto(self, target: memoryview) -> int:
        count = min(len(target), len(self._view) - self._at)
        target[:count] = self._view[self._at : self._at + count]
        self._at += count
        return count

    def read(self, size: int = -1) -> bytes:
        end = len(self._view) if size < 0 else min(len(self._view), self._at + size)
        piece, self._at = bytes(self._view[self._at : end]), end
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0 if whence == 0 else self._at if whence == 1 else len(self._view))
        return self._at

    def tell(self) -> int:
        return self._at


@asynccontextmanager
async def awscrt_client(endpoint: str) -> AsyncIterator[Client]:
    client = AwscrtClient(endpoint)
    yield client
    await client.close()


# ── obstore ───────────────────────────────────────────────────────────────────────────────────────
class ObstoreClient:
    """It computes the checksum itself, and does not return that of the answer."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def put(self, key: str, body: memoryview) -> None:
        await self._store.put_async(key, body, use_multipart=False)

    async def large(self, key: str, parts: Iterator[memoryview]) -> None:
        options = {"chunk_size": PART, "max_concurrency": PARTS_IN_FLIGHT, "use_multipart": True}
        await self._store.put_async(key, parts, **options)


@asynccontextmanager
async def obstore_client(endpoint: str) -> AsyncIterator[Client]:
    sys.path.extend(str(path) for path in _BENCH_PACKAGES.glob("python*/site-packages"))
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        unsigned_payload=True,
        checksum_algorithm="crc64nvme",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    yield ObstoreClient(store)


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Client]]] = {
    "own": own_client,
    "awscrt": awscrt_client,
    "obstore": obstore_client,
    "aiohttp": aiohttp_client,
    "store-own": lambda endpoint: store_client(endpoint, "auto"),
    "store-aiobotocore": lambda endpoint: store_client(endpoint, "sdk"),
}
