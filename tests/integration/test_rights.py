"""The table of docs/rights.md, cell by cell, at a store that enforces rights: what works with which rights.

Each row of the table is one function below, which returns the word of its cell; each column is a policy of that page.
The cells of a row run at the same time, each behind its own proxy and below its own prefix.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirrord.errors import Reason
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import State
from mirrord.programs.api import sync
from mirrord.programs.report import Report
from mirrord.units import KiB, MiB
from tests.support.command import mirrord
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.rights import Rights
from tests.support.rights_page import policies, table
from tests.support.syncing import digest_of, manifest
from tests.support.weed import Server

SMALL = Generated(64 * KiB, seed=1)
OTHER = Generated(64 * KiB, seed=3)
LARGE = Generated(5 * MiB + 64 * KiB, seed=2)  # two parts
NEWER = Generated(5 * MiB + 64 * KiB, seed=4)
WRITES = ("PutObject", "CompleteMultipartUpload", "CopyObject")
UPLOAD = "upload: {part_size: 5MiB, multipart_threshold: 5MiB, concurrency: 1}"


@dataclass
class World:
    """The objects below one prefix of a bucket, behind a store with rights."""

    home: Path
    proxy: StoreProxy
    client: Any
    bucket: str
    prefix: str
    origin: Origin
    rights: Rights

    def write(self, *entries: str, store: str = "") -> Path:
        given = "".join(f"  - {{{entry}, {UPLOAD}}}\n" for entry in entries)
        file = manifest(self.home, self.proxy.server, f"mirrors:\n{given}")
        file.write_text(file.read_text().replace("    wire:", f"{store}    wire:", 1))
        return file

    def at(self, key: str) -> str:
        return f"{self.prefix}/{key}"

    def mirror(self, content: Generated = SMALL, key: str = "key", more: str = "") -> str:
        return f"url: '{self.publish(content, key)}', to: 's3://{self.bucket}/{self.at(key)}'{more}"

    def publish(self, content: Generated, key: str = "key") -> str:
        return self.origin.publish(f"/{self.at(key)}", content)

    async def sync(self) -> Report:
        self.proxy.clear()
        self.rights.denied.clear()
        return await sync([str(self.home / "m.yaml")], state=f"sqlite://{self.home}/state.db", environ={})

    async def integrity(self) -> str:
        async with SqliteJournal(self.home / "state.db", read_only=True) as journal:
            (record,) = [record async for record in journal.records()]
        return str(record.object.integrity)

    @property
    def writes(self) -> int:
        return sum(call.operation in WRITES and call.status == 200 for call in self.proxy.calls)

    @property
    def uploads(self) -> list[str]:
        listed = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        return [one["UploadId"] for one in listed.get("Uploads", [])]

    def put(self, content: bytes, key: str = "key") -> None:
        """As another program."""
        self.client.put_object(Bucket=self.bucket, Key=self.at(key), Body=content)

    def has(self, content: Generated, key: str = "key") -> bool:
        try:
            return digest_of(self.client, self.bucket, self.at(key)) == content.sha256()
        except self.client.exceptions.NoSuchKey:
            return False


def word(report: Report, done: bool, well: str = "yes") -> str:
    """`well`, or Blocked: then the message names the missing right."""
    for left in report.left:
        assert left.outcome.state is State.BLOCKED, left
        assert re.search(r"s3:[A-Z]\w+", left.outcome.message), left
        return "Blocked"
    return well if done else "no"


# ── the rows ──────────────────────────────────────────────────────────────────────────────────────
async def single_put(world: World) -> str:
    world.write(world.mirror())
    return word(await world.sync(), world.has(SMALL))


async def multipart(world: World) -> str:
    world.write(world.mirror(LARGE))
    return word(await world.sync(), world.has(LARGE), await world.integrity())


async def readback(world: World) -> str:
    world.write(world.mirror(SMALL, "key", ", verify: readback"))
    return word(await world.sync(), world.has(SMALL))


async def second_pass(world: World) -> str:
    world.write(world.mirror(), world.mirror(LARGE, "large"))
    await world.sync()
    report = await world.sync()
    return word(report, report.unchanged == 2 and not world.writes)


async def replaced(world: World) -> str:
    """The source changes."""
    world.write(world.mirror())
    await world.sync()
    world.publish(OTHER)
    return word(await world.sync(), world.has(OTHER) and world.writes == 1)


async def listing(world: World) -> str:
    world.write(*(world.mirror(SMALL, f"{n}") for n in range(14)))
    await world.sync()
    report = await world.sync()
    heads = world.proxy.counts["HeadObject"] - world.rights.denied.count("HeadObject")
    assert word(report, report.unchanged == 14 and not world.writes) == "yes"
    async with SqliteJournal(world.home / "state.db", read_only=True) as journal:
        messages = {record.condition.message async for record in journal.records()}
    assert all(("s3:GetObject" in one) is ("s3:GetObject" not in world.rights.allowed) for one in messages), messages
    return "HEADs" if heads else "a listing" if "ListObjectsV2" not in world.rights.denied else "no requests"


async def resumed(world: World) -> str:
    """The second part fails until the program ends."""
    world.write(world.mirror(LARGE))
    world.rights.failing, world.rights.passing = "UploadPart", 1
    assert (await world.sync()).failed
    world.rights.failing = ""
    report = await world.sync()
    return word(report, world.has(LARGE) and world.proxy.counts["UploadPart"] == 1, "resumes")


async def lost_put(world: World) -> str:
    """The store carries it out."""
    world.write(world.mirror())
    world.rights.lost = "PutObject"
    report = await world.sync()
    return word(report, world.has(SMALL), "written again" if world.writes > 1 else "yes")


async def lost_complete(world: World) -> str:
    """The store carries it out."""
    world.write(world.mirror(LARGE))
    world.rights.lost = "CompleteMultipartUpload"
    report = await world.sync()
    assert (world.has(LARGE), world.writes, world.proxy.counts["AbortMultipartUpload"]) == (True, 1, 0)
    return word(report, True)


async def cut_complete(world: World) -> str:
    """The store does not get it. The item stays Blocked, and the upload open, until a HEAD is allowed."""
    world.write(world.mirror(LARGE))
    world.rights.cut = "CompleteMultipartUpload"
    found = word(await world.sync(), world.has(LARGE))
    if found == "Blocked":
        world.publish(NEWER)
        assert word(await world.sync(), False) == "Blocked"
        assert (world.writes, world.has(LARGE), len(world.uploads)) == (0, False, 1)
        world.rights.allowed |= {"s3:GetObject", "s3:ListBucket"}
        assert word(await world.sync(), world.has(NEWER)) == "yes"
    return found


async def abort(world: World) -> str:
    """An upload whose source has changed since."""
    world.write(world.mirror(LARGE))
    world.rights.failing, world.rights.passing = "UploadPart", 1
    assert (await world.sync()).failed
    world.rights.failing = ""
    world.publish(NEWER)
    assert word(await world.sync(), world.has(NEWER)) == "yes"
    return "left" if world.uploads else "yes"


async def sweep(world: World) -> str:
    """The answer to its CreateMultipartUpload was lost."""
    world.write(world.mirror(LARGE))
    world.rights.lost = "CreateMultipartUpload"
    for _ in range(2):
        assert word(await world.sync(), world.has(LARGE)) == "yes"
    return "left" if world.uploads else "yes"


async def prune(world: World) -> str:
    world.write(entry := world.mirror(), world.mirror(SMALL, "gone", ", prune: true"))
    await world.sync()
    world.write(entry)
    report = await world.sync()
    return word(report, not world.has(SMALL, "gone"))


async def drift(world: World) -> str:
    """Another program replaces the object."""
    world.write(world.mirror())
    await world.sync()
    world.put(b"other bytes")
    return word(await world.sync(), world.has(SMALL), "repaired").replace("no", "not seen")


async def deleted(world: World) -> str:
    """Another program deletes the object."""
    world.write(world.mirror())
    await world.sync()
    world.client.delete_object(Bucket=world.bucket, Key=world.at("key"))
    return word(await world.sync(), world.has(SMALL), "repaired").replace("no", "not seen")


async def adoption(world: World) -> str:
    """Another program has stored these bytes."""
    world.put(b"".join(SMALL.pieces()))
    path = world.home / "file"
    path.write_bytes(b"".join(SMALL.pieces()))
    world.write(f"url: 'file://{path}', to: 's3://{world.bucket}/{world.at('key')}'")
    report = await world.sync()
    return word(report, world.has(SMALL), "written again" if world.writes else "yes")


async def never_another(world: World) -> str:
    """It stays."""
    world.put(b"other bytes")
    world.write(world.mirror(SMALL, "key", ", overwrite: never"))
    (left,) = (report := await world.sync()).left
    assert not world.has(SMALL)
    return "Conflict" if left.outcome.reason is Reason.CONFLICT else word(report, False)


async def never_free(world: World) -> str:
    world.write(world.mirror(SMALL, "key", ", overwrite: never"))
    return word(await world.sync(), world.has(SMALL))


async def rewrite(world: World) -> str:
    """Only `object:` of the entry changes."""
    world.write(entry := world.mirror())
    await world.sync()
    world.write(f"{entry}, object: {{cache_control: no-store}}")
    report = await world.sync()
    shown = world.client.head_object(Bucket=world.bucket, Key=world.at("key"))
    done = shown.get("CacheControl") == "no-store" and world.has(SMALL)
    return word(report, done, "the store copies it" if world.proxy.counts["CopyObject"] else "sent again")


async def store_copy(world: World) -> str:
    """An s3:// source in the same store."""
    world.put(b"".join(SMALL.pieces()), "from")
    world.write(f"url: 's3://{world.bucket}/{world.at('from')}', to: 's3://{world.bucket}/{world.at('key')}'")
    return word(await world.sync(), world.has(SMALL))


async def verify(world: World) -> str:
    file = world.write(world.mirror())
    await world.sync()
    done = await mirrord("verify", str(file), "--state", f"sqlite://{world.home}/state.db", home=world.home)
    return "yes" if done.code == 0 else "no"


async def create_bucket(world: World) -> str:
    """buckets.NAME.create: true, and the bucket exists."""
    world.write(world.mirror(), store=f"    buckets: {{{world.bucket}: {{create: true}}}}\n")
    return word(await world.sync(), world.has(SMALL))


async def tags(world: World) -> str:
    world.write(world.mirror(SMALL, "key", ", object: {tags: {a: b}}"))
    return word(await world.sync(), world.has(SMALL))


async def acl(world: World) -> str:
    world.write(world.mirror(SMALL, "key", ", object: {acl: private}"))
    return word(await world.sync(), world.has(SMALL))


ROWS: dict[str, Callable[[World], Awaitable[str]]] = {
    "single put": single_put,
    "multipart upload, proven by": multipart,
    "`verify: readback`": readback,
    "unchanged at the second pass": second_pass,
    "a changed source is copied": replaced,
    "many items are checked by": listing,
    "resume of an upload": resumed,
    "a put whose answer was lost": lost_put,
    "a Complete whose answer was lost": lost_complete,
    "a Complete that the store did not get": cut_complete,
    "abort of an upload that was replaced": abort,
    "sweep of an upload without an id": sweep,
    "`prune`": prune,
    "object replaced by another program": drift,
    "object deleted by another program": deleted,
    "adoption of equal bytes": adoption,
    "`overwrite: never` and another object": never_another,
    "`overwrite: never` and a free key": never_free,
    "a change of `object:` alone": rewrite,
    "copy by the store": store_copy,
    "`verify`": verify,
    "`buckets: {NAME: {create: true}}`, bucket exists": create_bucket,
    "`object.tags`": tags,
    "`object.acl`": acl,
}
COLUMNS, CELLS = table()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests cover the pauses between tries."""
    monkeypatch.setattr("mirrord.transfer.retry.pause", lambda rule, failures, chance, retry_after=None: 0.01)


@pytest.mark.parametrize("row", ROWS)
async def test_the_cells_of_a_row(
    tmp_path: Path,
    proxied: Callable[[Server], StoreProxy],
    weed: Server,
    s3_client: Any,
    bucket: str,
    origin: Origin,
    row: str,
) -> None:
    async def cell(policy: str) -> str:
        home, proxy = tmp_path / policy, proxied(weed)
        home.mkdir()
        rights = Rights(proxy, policies()[policy])
        return await ROWS[row](World(home, proxy, s3_client, bucket, policy, origin, rights))

    found = await asyncio.gather(*map(cell, COLUMNS))
    assert dict(zip(COLUMNS, found, strict=True)) == CELLS[row]


def test_the_page_has_these_rows() -> None:
    assert list(CELLS) == list(ROWS)
