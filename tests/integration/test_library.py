"""The library with a real store: each call, inside and outside of a block, and each error. boto3 reads the objects."""

import ast
import asyncio
import hashlib
import io
import os
import re
import runpy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from aiohttp import web

import mirrord
from mirrord import InvalidPart, MultipartUploader, NoSuchUpload, S3Client
from mirrord.errors import (
    BucketMissing,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from mirrord.units import MiB
from tests.support.proxy import Seen, StoreProxy
from tests.support.weed import Server

CONTENT = os.urandom(21 * MiB + 333)


class Origin(BaseHTTPRequestHandler):
    """/whole.csv with a length, /chunked without, /cut with a broken connection, others 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/chunked":
            self._chunked()
        elif self.path in ("/whole.csv", "/cut"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.send_header("Content-Type", "text/csv" if self.path == "/whole.csv" else "text/plain")
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/whole.csv" else CONTENT[: 12 * MiB])
            self.close_connection = self.path == "/cut"
        else:
            self.send_error(404)

    def _chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(CONTENT), 100_000):
            piece = CONTENT[start : start + 100_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def client(weed: Server) -> AsyncIterator[S3Client]:
    """An open client; `test_outside_a_block_each_call_opens_and_closes_a_connection` uses one without a block."""
    async with new_client(weed) as made:
        yield made


def new_client(weed: Server, **more: Any) -> S3Client:
    return S3Client(
        endpoint_url=weed.endpoint_url,
        aws_access_key_id=weed.access_key_id,
        aws_secret_access_key=weed.secret_access_key,
        **more,
    )


def stored(s3_client: Any, bucket: str, key: str) -> bytes:
    return s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()


def open_uploads(s3_client: Any, bucket: str) -> list[Any]:
    return s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def is_multipart(s3_client: Any, bucket: str, key: str) -> bool:
    return "-" in s3_client.head_object(Bucket=bucket, Key=key)["ETag"]


# ── the four calls ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
async def test_upload_file(client: S3Client, bucket: str, s3_client: Any, wrap: Callable[[bytes], Any]) -> None:
    assert await client.upload_file(bucket, "a/b.csv", wrap(CONTENT[:1000])) is None
    assert stored(s3_client, bucket, "a/b.csv") == CONTENT[:1000]
    assert s3_client.head_object(Bucket=bucket, Key="a/b.csv")["ContentType"] == "text/csv"


async def test_outside_a_block_each_call_opens_and_closes_a_connection(
    weed: Server, bucket: str, s3_client: Any, origin: str, tmp_path: Path
) -> None:
    bare = new_client(weed)
    (tmp_path / "f").write_bytes(b"from a file")
    await bare.upload_file(bucket, "1", b"from a buffer")
    await bare.fetch_and_upload(bucket, "2", f"{origin}/whole.csv")
    await bare.stream_upload(bucket, "3", f"{origin}/whole.csv")
    await bare.stream_file(bucket, "4", tmp_path / "f")
    assert [stored(s3_client, bucket, key) for key in "1234"] == [b"from a buffer", CONTENT, CONTENT, b"from a file"]


async def test_upload_file_takes_all_of_a_buffer_written_to(client: S3Client, bucket: str, s3_client: Any) -> None:
    buffer = io.BytesIO()
    buffer.write(b"just written")
    await client.upload_file(bucket, "k", buffer)
    buffer.write(b", and still writable")
    assert stored(s3_client, bucket, "k") == b"just written"


async def test_upload_file_of_nothing(client: S3Client, bucket: str, s3_client: Any) -> None:
    await client.upload_file(bucket, "empty", b"")
    assert stored(s3_client, bucket, "empty") == b""


@pytest.mark.parametrize("path", ["/whole.csv", "/chunked"])
async def test_fetch_and_upload(client: S3Client, bucket: str, s3_client: Any, origin: str, path: str) -> None:
    assert await client.fetch_and_upload(bucket, "fetched", origin + path) is None
    assert stored(s3_client, bucket, "fetched") == CONTENT
    assert not is_multipart(s3_client, bucket, "fetched")


@pytest.mark.parametrize("path", ["/whole.csv", "/chunked"])
async def test_stream_upload(client: S3Client, bucket: str, s3_client: Any, origin: str, path: str) -> None:
    assert await client.stream_upload(bucket, "streamed", origin + path) is None
    assert stored(s3_client, bucket, "streamed") == CONTENT
    assert is_multipart(s3_client, bucket, "streamed")
    if path == "/whole.csv":
        assert s3_client.head_object(Bucket=bucket, Key="streamed")["ContentType"] == "text/csv"


class AsyncReader:
    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(min(size, 300_001))


@pytest.mark.parametrize(
    ("kind", "size"),
    [("str", 0), ("Path", 1000), ("link", 10), ("file", 1000), ("async", 0), ("BytesIO", 0), ("async", 1000)]
    + [(kind, len(CONTENT)) for kind in ("Path", "file", "async")],
)
async def test_stream_file(client: S3Client, bucket: str, s3_client: Any, tmp_path: Path, size: int, kind: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT[:size])
    (tmp_path / "link").symlink_to(path)
    with path.open("rb") as opened:
        given: Any = {
            "str": str(path),
            "Path": path,
            "link": tmp_path / "link",
            "file": opened,
            "BytesIO": io.BytesIO(CONTENT[:size]),
            "async": AsyncReader(CONTENT[:size]),
        }[kind]
        assert await client.stream_file(bucket, "file", given) is None
        assert not opened.closed
    assert stored(s3_client, bucket, "file") == CONTENT[:size]


async def test_large_streams_in_a_small_memory_limit(
    weed: Server, bucket: str, s3_client: Any, origin: str, tmp_path: Path
) -> None:
    client = new_client(weed, memory_limit=12 * MiB)
    (tmp_path / "f").write_bytes(CONTENT)
    async with client:
        await asyncio.gather(
            client.stream_file(bucket, "a", tmp_path / "f"),
            client.stream_file(bucket, "b", io.BytesIO(CONTENT)),
            client.stream_upload(bucket, "c", f"{origin}/chunked"),
            client.stream_upload(bucket, "d", f"{origin}/whole.csv"),
        )
        assert 0 < client.budget.mapped <= 12 * MiB
        assert client.budget.in_use == 0
    assert [hashlib.sha256(stored(s3_client, bucket, key)).digest() for key in "abcd"] == [
        hashlib.sha256(CONTENT).digest()
    ] * 4


# ── errors ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("call", ["fetch_and_upload", "stream_upload"])
@pytest.mark.parametrize(("path", "error"), [("/absent", SourceMissing), ("/cut", SourceUnavailable)])
async def test_a_bad_source_stores_nothing(
    client: S3Client, bucket: str, s3_client: Any, origin: str, call: str, path: str, error: type[Exception]
) -> None:
    await client.upload_file(bucket, "k", b"before")
    with pytest.raises(error):
        await getattr(client, call)(bucket, "k", origin + path)
    assert stored(s3_client, bucket, "k") == b"before"
    assert open_uploads(s3_client, bucket) == []


async def test_a_missing_file_and_a_text_file(client: S3Client, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        await client.stream_file(bucket, "k", tmp_path / "absent")
    with pytest.raises(SourceRefused, match="binary"):
        await client.stream_file(bucket, "k", io.StringIO("text"))  # type: ignore[arg-type]


async def test_store_errors_have_names(weed: Server, bucket: str) -> None:
    with pytest.raises(BucketMissing):
        await new_client(weed).upload_file("absent-bucket", "k", b"x")
    wrong = S3Client(endpoint_url=weed.endpoint_url, aws_access_key_id="who", aws_secret_access_key="what")
    with pytest.raises(StoreDenied):
        await wrong.upload_file(bucket, "k", b"x")
    nobody = S3Client(endpoint_url="http://127.0.0.1:1", aws_access_key_id="a", aws_secret_access_key="b")
    with pytest.raises(StoreUnavailable):
        await nobody.upload_file(bucket, "k", b"x")


def test_half_a_pair_of_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        S3Client(endpoint_url="", aws_access_key_id="only")


def test_an_empty_endpoint_is_aws() -> None:
    assert S3Client(endpoint_url="").options.endpoint == "https://s3.amazonaws.com"
    assert S3Client(endpoint_url="").options.endpoint_url is None


# ── MultipartUploader ─────────────────────────────────────────────────────────────────────────────
@pytest.fixture(params=["S3Client", "bare aiobotocore"])
async def any_client(request: pytest.FixtureRequest, weed: Server) -> AsyncIterator[Any]:
    if request.param == "S3Client":
        yield new_client(weed)
        return
    async with get_session().create_client(
        "s3",
        endpoint_url=weed.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=weed.access_key_id,
        aws_secret_access_key=weed.secret_access_key,
    ) as opened:
        yield opened


@pytest.mark.parametrize(("chunk", "concurrency"), [(65_536 + 1, 1), (6 * MiB, 4), (len(CONTENT), 1)])
async def test_chunks_of_any_size(any_client: Any, bucket: str, s3_client: Any, chunk: int, concurrency: int) -> None:
    async with MultipartUploader(client=any_client, bucket=bucket, key="up.csv", concurrency=concurrency) as up:
        assert up.is_loading
        assert up.mpu is not None
        assert (up.part_number, up.parts, up.uploaded_size) == (1, [], 0.0)
        for start in range(0, len(CONTENT), chunk):
            assert await up.upload_part(CONTENT[start : start + chunk]) is None
    assert not up.is_loading
    assert stored(s3_client, bucket, "up.csv") == CONTENT
    numbers = [1] if chunk == len(CONTENT) else [1, 2, 3, 4] if chunk == 6 * MiB else [1, 2, 3, 4, 5]
    assert [part["PartNumber"] for part in up.parts] == numbers
    assert up.part_number == len(numbers) + 1
    assert up.uploaded_size == pytest.approx(len(CONTENT) / MiB)
    assert s3_client.head_object(Bucket=bucket, Key="up.csv")["ContentType"] == "text/csv"
    assert up.mpu["UploadId"]


async def test_a_part_is_stored_when_upload_part_returns(any_client: Any, bucket: str, s3_client: Any) -> None:
    async with MultipartUploader(client=any_client, bucket=bucket, key="k") as up:
        await up.upload_part(CONTENT[: 5 * MiB])
        assert (up.part_number, up.uploaded_size, len(up.parts)) == (2, 5.0, 1)
        await up.upload_part(memoryview(CONTENT)[5 * MiB : 6 * MiB])
        await up.upload_part(b"")
        assert (up.part_number, up.uploaded_size) == (2, 5.0)
        with pytest.raises(s3_client.exceptions.NoSuchKey):
            stored(s3_client, bucket, "k")
    assert stored(s3_client, bucket, "k") == CONTENT[: 6 * MiB]


async def test_without_bytes_the_object_is_empty(any_client: Any, bucket: str, s3_client: Any) -> None:
    async with MultipartUploader(client=any_client, bucket=bucket, key="empty") as up:
        pass
    assert stored(s3_client, bucket, "empty") == b""
    assert len(up.parts) == 1


@pytest.mark.parametrize("provider", ["seaweedfs", "minio", "aws", "generic", "r2"])
async def test_without_bytes_complete_has_no_checksum(
    store_proxy: StoreProxy, bucket: str, s3_client: Any, provider: str
) -> None:
    """MinIO refuses this request with a checksum."""
    completed: list[dict[str, str]] = []

    async def look(seen: Seen, request: web.Request) -> None:
        if seen.operation == "CompleteMultipartUpload":
            completed.append({name.lower(): value for name, value in request.headers.items()})

    store_proxy.before = look  # type: ignore[assignment]
    client = new_client(store_proxy.server, provider=provider)
    async with MultipartUploader(client=client, bucket=bucket, key="empty") as up:
        await up.upload_part(b"")
    assert (stored(s3_client, bucket, "empty"), len(up.parts), up.is_loading) == (b"", 1, False)
    assert not any(name.startswith("x-amz-checksum") for name in completed[0])


def sizes_of(s3_client: Any, bucket: str, key: str) -> list[int]:
    """The sizes of the parts of an object."""
    count = s3_client.head_object(Bucket=bucket, Key=key, PartNumber=1)["PartsCount"]
    asked = range(1, count + 1)
    return [s3_client.head_object(Bucket=bucket, Key=key, PartNumber=n)["ContentLength"] for n in asked]


@pytest.mark.parametrize(
    ("chunks", "provider", "parts"),
    [
        ([10, 10, 1], "seaweedfs", [10, 10, 1]),
        ([3, 7, 10], "generic", [10, 10]),
        ([1, 1, 6, 5, 2], "minio", [8, 5, 2]),
        ([5], "aws", [5]),
        ([4, 4], "generic", [5, 3]),
        ([10, 10, 10, 10], "r2", [32, 8]),
    ],
)
async def test_a_large_chunk_is_one_part(
    weed: Server, bucket: str, s3_client: Any, chunks: list[int], provider: str, parts: list[int]
) -> None:
    content = os.urandom(sum(chunks) * MiB)
    client, at = new_client(weed, provider=provider), 0
    async with MultipartUploader(client=client, bucket=bucket, key="k") as up:
        for size in chunks:
            await up.upload_part(memoryview(content)[at : at + size * MiB])
            at += size * MiB
    assert stored(s3_client, bucket, "k") == content
    assert sizes_of(s3_client, bucket, "k") == [size * MiB for size in parts]


async def test_it_is_loading_until_it_is_completed(weed: Server, bucket: str) -> None:
    up = MultipartUploader(client=new_client(weed), bucket=bucket, key="k")
    assert up.is_loading
    async with up:
        assert up.is_loading
    assert not up.is_loading
    lost = MultipartUploader(client=new_client(weed), bucket="absent-bucket", key="k")
    with pytest.raises(BucketMissing):
        await lost.__aenter__()
    assert lost.is_loading


async def test_an_error_in_the_block_aborts(any_client: Any, bucket: str, s3_client: Any) -> None:
    up = MultipartUploader(client=any_client, bucket=bucket, key="k")

    async def work() -> None:
        async with up:
            await up.upload_part(CONTENT[: 11 * MiB])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert up.is_loading
    assert open_uploads(s3_client, bucket) == []
    with pytest.raises(s3_client.exceptions.NoSuchKey):
        stored(s3_client, bucket, "k")


async def test_a_cancelled_upload_is_aborted(any_client: Any, bucket: str, s3_client: Any) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with MultipartUploader(client=any_client, bucket=bucket, key="k", concurrency=2) as up:
            await up.upload_part(CONTENT)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    started = asyncio.ensure_future(begun.wait())
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    assert begun.is_set(), task
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert open_uploads(s3_client, bucket) == []


async def test_an_upload_that_another_program_aborted_is_an_error(any_client: Any, bucket: str, s3_client: Any) -> None:
    async def work() -> None:
        async with MultipartUploader(client=any_client, bucket=bucket, key="k") as up:
            await up.upload_part(CONTENT[: 5 * MiB])
            assert up.mpu is not None
            s3_client.abort_multipart_upload(**up.mpu)
            await up.upload_part(CONTENT[: 5 * MiB])

    with pytest.raises(NoSuchUpload) as caught:
        await work()
    assert isinstance(caught.value, mirrord.MirrordError)


async def test_a_part_that_the_store_lost_is_named(weed: Server, bucket: str) -> None:
    async def work() -> None:
        async with MultipartUploader(client=new_client(weed), bucket=bucket, key="k") as up:
            await up.upload_part(CONTENT[: 5 * MiB])
            parts = up._open_upload().multipart.parts
            parts[1] = replace(parts[1], etag='"00000000000000000000000000000000"')

    with pytest.raises(InvalidPart):
        await work()


async def test_wrong_use_is_an_error(weed: Server, bucket: str) -> None:
    up = MultipartUploader(client=new_client(weed), bucket=bucket, key="k")
    with pytest.raises(RuntimeError, match="async with"):
        await up.upload_part(b"x")
    async with up:
        pass
    with pytest.raises(RuntimeError, match="one object"):
        await up.__aenter__()
    with pytest.raises(ValueError, match="5,242,880 bytes or more"):
        async with MultipartUploader(client=new_client(weed), bucket=bucket, key="k", part_size=MiB):
            pass


# ── examples of the documentation ─────────────────────────────────────────────────────────────────
ROOT = Path(__file__).parents[2]
SAMPLE_URL = "https://www.rfc-editor.org/rfc/rfc9110.txt"


@pytest.fixture
def minio_variables(monkeypatch: pytest.MonkeyPatch, weed: Server, bucket: str, origin: str) -> None:
    monkeypatch.setenv("MINIO_SERVER_URL", weed.endpoint_url)
    monkeypatch.setenv("MINIO_ROOT_USER", weed.access_key_id)
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", weed.secret_access_key)
    monkeypatch.setenv("BUCKET", bucket)
    monkeypatch.setenv("SOURCE_URL", f"{origin}/whole.csv")


@pytest.mark.usefixtures("minio_variables")
async def test_the_example_runs(bucket: str, s3_client: Any) -> None:
    example = ROOT / "configs" / "examples" / "run_clients.py"
    await runpy.run_path(str(example))["s3"]()
    assert stored(s3_client, bucket, "library/buffer.txt") == b"these bytes were in memory\n"
    assert stored(s3_client, bucket, "library/fetched.txt") == CONTENT
    assert stored(s3_client, bucket, "library/streamed.txt") == CONTENT
    assert stored(s3_client, bucket, "library/run_clients.py") == example.read_bytes()


@pytest.mark.usefixtures("minio_variables")
async def test_the_snippets_run_in_order(
    bucket: str, s3_client: Any, origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "library.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(snippets) == page.count("```python")
    names: dict[str, Any] = {}
    for number, snippet in enumerate(snippets):
        text = snippet.replace(SAMPLE_URL, f"{origin}/whole.csv")
        code = compile(text, f"snippet {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)
        if running is not None:
            await running
    keys = {found["Key"] for found in s3_client.list_objects_v2(Bucket=bucket)["Contents"]}
    written = "buffer.txt fetched.txt streamed.txt report.csv again.csv rows.csv own.bin described.csv mirrored.txt"
    assert keys == {f"a/{name}" for name in written.split()} | {f"many/{n}.txt" for n in range(3)}
    head = s3_client.head_object(Bucket=bucket, Key="a/described.csv")
    assert (head["CacheControl"], head["Metadata"]["team"]) == ("max-age=300", "data")
