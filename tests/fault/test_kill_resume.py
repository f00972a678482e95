"""kill -9 of the real `mirrord sync` at each edge of a transfer and at random moments: guarantee 4.

The moment is exact: a call to the store waits in the proxy, before the store gets it or after it answered, and then
the process is killed. The proxy counts the bytes of each run; boto3 reads the objects.
"""

import hashlib
import os
import random
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Transfer
from mirrord.units import KiB, MiB
from tests.support.command import environment, start
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.measuring import SOAK
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import digest_of, events, manifest, sync

PART = 5 * MiB
"""The smallest part of S3: a store needs 12 ms of CPU for each MiB."""
IN_PARTS = "defaults: {upload: {part_size: 5MiB, multipart_threshold: 5MiB}}\n"
SIZE = 8 * PART
LARGE = (20 if SOAK else 6) * PART
SECOND = 4 * PART
IN_FLIGHT = 4 * PART
"""`upload.concurrency` parts: a part is in flight until it is journaled, so four waiting parts mean no other."""
RANDOM_KILLS = 50 if SOAK else 3
SEED = int(os.environ.get("MIRRORD_SEED", "0")) or random.randrange(2**32)


def part_bytes(proxy: StoreProxy) -> int:
    return sum(call.sent for call in proxy.calls if call.operation == "UploadPart")


async def unfinished(home: Path) -> list[Transfer]:
    (state,) = (home / "state").rglob("state.db")
    async with SqliteJournal(state, read_only=True) as journal:
        return [transfer async for transfer in journal.unfinished()]


WHOLE = Generated(SIZE, seed=5)


@pytest.fixture(params=["url", "file"])
def source(request: pytest.FixtureRequest, tmp_path: Path, origin: Origin) -> str:
    """The URL of a source of eight parts."""
    if request.param == "url":
        return origin.publish("/large.bin", WHOLE)
    with (tmp_path / "large.bin").open("wb") as stream:
        for piece in WHOLE.pieces():
            stream.write(piece)
    return f"file://{tmp_path}/large.bin"


EDGES = {
    "before create": (lambda: HeldCalls("CreateMultipartUpload"), None, 8),
    "first parts in flight": (lambda: HeldCalls("UploadPart", 1, 4), 0, 8),
    "four parts journaled, four in flight": (lambda: HeldCalls("UploadPart", 5, 4), 4, 4),
    "a part stored, its answer lost": (lambda: HeldCalls("UploadPart", 6, answered=True), None, None),
    "before complete": (lambda: HeldCalls("CompleteMultipartUpload"), 8, 0),
}
"""Moment -> (parts kept, parts sent by the second run). None: depends on the other parts in flight."""


@pytest.mark.parametrize("edge", EDGES)
async def test_killed_at_an_edge_only_what_was_in_flight_is_sent_again(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, source: str, edge: str
) -> None:
    make, kept, sent = EDGES[edge]
    held = make()
    file = manifest(tmp_path, store_proxy.server, f"{IN_PARTS}mirrors:\n  {source}: s3://{bucket}/large.bin\n")
    assert await kill_at(held, store_proxy, tmp_path, file)
    before = store_proxy.counts["UploadPart"]

    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert digest_of(s3_client, bucket, "large.bin") == WHOLE.sha256()
    assert open_uploads(s3_client, bucket) == []
    again = store_proxy.counts["UploadPart"] - before
    resumed = events(done, "transfer.resumed")
    assert again <= 8 - (before - 4), "only parts in flight may be sent again"
    assert sent in (None, again)
    assert kept in (None, *(line["parts"] for line in resumed))
    assert all(line["bytes"] == line["parts"] * PART for line in resumed)
    assert len(resumed) == (held.operation != "CreateMultipartUpload")
    assert await unfinished(tmp_path) == []


async def test_killed_after_the_store_created_an_upload_whose_id_is_not_journaled(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    """Another upload creates the object; the first one is found by its journaled intent and aborted."""
    content = Generated(2 * PART, seed=1)
    url = origin.publish("/large.bin", content)
    file = manifest(tmp_path, store_proxy.server, f"{IN_PARTS}mirrors:\n  {url}: s3://{bucket}/large.bin\n")
    assert await kill_at(HeldCalls("CreateMultipartUpload", answered=True), store_proxy, tmp_path, file)
    (orphan,) = open_uploads(s3_client, bucket)

    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert digest_of(s3_client, bucket, "large.bin") == content.sha256()
    assert [line["upload_id"] for line in events(done, "upload.aborted")] == [orphan]
    assert open_uploads(s3_client, bucket) == []
    assert await unfinished(tmp_path) == []


@pytest.mark.parametrize(("operation", "size"), [("CompleteMultipartUpload", 2 * PART), ("PutObject", 64 * KiB)])
async def test_killed_after_the_object_exists_it_is_not_written_again(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, operation: str, size: int
) -> None:
    """Also with a journaled object of an earlier revision: the new object must not count as drift."""
    body = f"{IN_PARTS}mirrors:\n  {origin.publish('/a.bin', b'old')}: s3://{bucket}/a.bin\n"
    file = manifest(tmp_path, store_proxy.server, body)
    assert (await sync(tmp_path, file)).code == 0
    origin.publish("/a.bin", Generated(size, seed=2))
    assert await kill_at(HeldCalls(operation, answered=True), store_proxy, tmp_path, file)
    assert len(await unfinished(tmp_path)) == 1

    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert store_proxy.writes == 0
    assert events(done, "item.drifted") == []
    assert digest_of(s3_client, bucket, "a.bin") == Generated(size, seed=2).sha256()
    assert await unfinished(tmp_path) == []
    assert (await sync(tmp_path, file)).code == 0
    assert store_proxy.writes == 0


@pytest.mark.parametrize(("answered", "copies"), [(False, 1), (True, 0)])
async def test_killed_while_the_store_copies_a_renamed_file(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, answered: bool, copies: int
) -> None:
    """Before the request it is sent again; after the copy the object is found. In both cases no byte is sent."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "old").write_bytes(b"content")
    body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 0s}}\n"
    file = manifest(tmp_path, store_proxy.server, body)
    assert (await sync(tmp_path, file)).code == 0
    (inbox / "old").rename(inbox / "new")
    assert await kill_at(HeldCalls("CopyObject", answered=answered), store_proxy, tmp_path, file)
    assert len(await unfinished(tmp_path)) == 1

    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert (store_proxy.writes, store_proxy.counts["CopyObject"], store_proxy.bytes_sent) == (copies, copies, 0)
    assert s3_client.get_object(Bucket=bucket, Key="new")["Body"].read() == b"content"
    assert await unfinished(tmp_path) == []


@pytest.mark.parametrize("change", ["content", "cache_control"])
async def test_what_changed_between_kill_and_rerun_starts_clean(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, change: str
) -> None:
    url = origin.publish("/large.bin", WHOLE)
    body = f"{IN_PARTS}mirrors:\n  - {{url: '{url}', to: 's3://{bucket}/large.bin'"
    file = manifest(tmp_path, store_proxy.server, body + "}\n")
    assert await kill_at(HeldCalls("UploadPart", 6), store_proxy, tmp_path, file)
    (old,) = open_uploads(s3_client, bucket)
    expected = WHOLE
    if change == "content":
        expected = Generated(SIZE, seed=6)
        origin.publish("/large.bin", expected)
    else:
        file = manifest(tmp_path, store_proxy.server, body + ", object: {cache_control: no-store}}\n")

    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert events(done, "transfer.resumed") == []
    assert [line["upload_id"] for line in events(done, "upload.aborted")] == [old]
    assert store_proxy.counts["AbortMultipartUpload"] == 1
    assert part_bytes(store_proxy) == SIZE
    assert digest_of(s3_client, bucket, "large.bin") == expected.sha256()
    assert open_uploads(s3_client, bucket) == []


async def test_copy_resumes_when_the_same_command_is_given_again(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    server = store_proxy.server
    env = {"AWS_ACCESS_KEY_ID": server.access_key_id, "AWS_SECRET_ACCESS_KEY": server.secret_access_key}
    where = ["--provider", "seaweedfs", "--endpoint-url", server.endpoint_url]
    url = origin.publish("/large.bin", WHOLE)  # five parts of 8 MiB: `copy` has no option for their size
    command = ["copy", url, f"s3://{bucket}/large.bin", *where]
    held = HeldCalls("UploadPart", 2, 4)
    held.set_on(store_proxy)
    process = await start(command, environment(tmp_path, env), cwd=tmp_path)
    assert await held.reached()
    process.kill()
    await process.communicate()
    store_proxy.before = None
    held.release()

    process = await start(command, environment(tmp_path, env), cwd=tmp_path)
    out, err = await process.communicate()
    assert process.returncode == 0, (out, err)
    assert digest_of(s3_client, bucket, "large.bin") == WHOLE.sha256()
    assert store_proxy.counts["UploadPart"] == 5 + 4
    assert store_proxy.counts["CreateMultipartUpload"] == 1
    assert open_uploads(s3_client, bucket) == []


async def test_a_multipart_upload_costs_its_parts_and_two_calls_and_two_heads(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    """The second HEAD returns the ETag: it is unknown before whether writes at this store return the same one."""
    url = origin.publish("/large.bin", WHOLE)
    file = manifest(tmp_path, store_proxy.server, f"{IN_PARTS}mirrors:\n  {url}: s3://{bucket}/large.bin\n")
    assert (await sync(tmp_path, file)).code == 0
    expected = {"HeadObject": 2, "CreateMultipartUpload": 1, "UploadPart": 8, "CompleteMultipartUpload": 1}
    assert store_proxy.counts == expected
    assert part_bytes(store_proxy) == SIZE


# ── random moments ────────────────────────────────────────────────────────────────────────────────
class Mixed:
    """Small, large and folder items under one prefix, and the expected objects."""

    def __init__(self, home: Path, proxy: StoreProxy, origin: Origin, bucket: str, seed: int) -> None:
        home.mkdir()
        self.home, self.bucket = home, bucket
        self.expected: dict[str, str] = {}
        mirrors = [self._published(origin, f"/{seed}/{n}", Generated(100 + n, seed + n)) for n in range(4)]
        mirrors.append(self._published(origin, f"/{seed}/large", Generated(LARGE, seed)))
        inbox = home / "inbox"
        inbox.mkdir()
        for n in range(20):
            self._filed(inbox / f"{n}.bin", Generated(1000 * n, seed + n))
        self._filed(inbox / "large.bin", Generated(SECOND, seed + 1))
        folder = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 10ms}}\n"
        self.file = manifest(home, proxy.server, f"{IN_PARTS}mirrors:\n" + "".join(mirrors) + folder)

    def _published(self, origin: Origin, path: str, content: Generated) -> str:
        key = f"url-{path.rpartition('/')[2]}"
        self.expected[key] = content.sha256()
        return f"  {origin.publish(path, content)}: s3://{self.bucket}/{key}\n"

    def _filed(self, file: Path, content: Generated) -> None:
        file.write_bytes(b"".join(content.pieces()))
        self.expected[file.name] = content.sha256()


@pytest.mark.timeout(60 + 30 * RANDOM_KILLS)
async def test_killed_at_random_moments_all_objects_equal_their_sources(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin
) -> None:
    print(f"MIRRORD_SEED={SEED}")
    chance = random.Random(SEED)
    # A listing, the puts of the small items, HEAD, Create and Complete of the two large ones, and their parts.
    calls = 1 + 4 + 20 + 2 * 3 + (LARGE + SECOND) // PART
    kills = 0
    for number in range(RANDOM_KILLS):
        bucket = f"kill-{SEED}-{number}"
        s3_client.create_bucket(Bucket=bucket)
        mixed = Mixed(tmp_path / str(number), store_proxy, origin, bucket, SEED + number)
        store_proxy.clear()
        held = HeldCalls("", chance.randint(1, calls), answered=chance.random() < 0.5)
        kills += await kill_at(held, store_proxy, mixed.home, mixed.file, later=chance.choice((0, chance.random() / 5)))

        done = await sync(mixed.home, mixed.file)
        assert done.code == 0, done.output
        found = {key: digest_of(s3_client, bucket, key) for key in mixed.expected}
        assert found == mixed.expected
        assert await unfinished(mixed.home) == []
        assert open_uploads(s3_client, bucket) == []
        assert part_bytes(store_proxy) - LARGE - SECOND <= 2 * IN_FLIGHT
        for key in mixed.expected:
            s3_client.delete_object(Bucket=bucket, Key=key)
    assert kills >= RANDOM_KILLS // 2


def test_what_is_expected_is_not_computed_by_mirrord() -> None:
    assert hashlib.sha256(b"".join(Generated(70_000, 3).pieces())).hexdigest() == Generated(70_000, 3).sha256()
