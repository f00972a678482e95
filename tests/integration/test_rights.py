"""The table of docs/rights.md, cell by cell, at a store that enforces rights: what works with which rights.

Each row of the table is one function below, which returns the word of its cell; each column is a policy of that page.
"""

import json
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
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.preloaded import REPOSITORY
from tests.support.proxy import StoreProxy
from tests.support.rights import Rights
from tests.support.syncing import digest_of, manifest
from tests.support.syncing import sync as sync_command

PAGE = (REPOSITORY / "docs" / "rights.md").read_text()
SMALL = Generated(64 * KiB, seed=1)
LARGE = Generated(11 * MiB, seed=2)  # three parts
OTHER = Generated(11 * MiB, seed=3)
WRITES = ("PutObject", "CompleteMultipartUpload", "CopyObject")
UPLOAD = "upload: {part_size: 5MiB, multipart_threshold: 6MiB}"


def policies() -> dict[str, list[str]]:
    """The actions of each policy of the page, by the heading above it."""
    found = re.findall(r"### `(\S+)`.*?```json\n(.*?)```", PAGE, re.DOTALL)
    return {name: [one for part in json.loads(text)["Statement"] for one in part["Action"]] for name, text in found}


def table() -> tuple[list[str], dict[str, list[str]]]:
    """The columns, and the cells of each row."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.partition("\n\n- ")[0].splitlines()
        if line[:1] == "|"
    ]
    (_, *columns), _, *rows = lines
    return [one.strip("`") for one in columns], {row[0]: row[1:] for row in rows}


@dataclass
class World:
    """One bucket behind a store with rights."""

    home: Path
    proxy: StoreProxy
    client: Any
    bucket: str
    origin: Origin
    rights: Rights

    def write(self, *entries: str, store: str = "") -> Path:
        given = "".join(f"  - {{{entry}, {UPLOAD}}}\n" for entry in entries)
        file = manifest(self.home, self.proxy.server, f"mirrors:\n{given}")
        file.write_text(file.read_text().replace("    wire:", f"{store}    wire:", 1))
        return file

    def mirror(self, content: Generated = SMALL, key: str = "key", more: str = "") -> str:
        return f"url: '{self.origin.publish('/' + key, content)}', to: 's3://{self.bucket}/{key}'{more}"

    async def sync(self) -> Report:
        self.proxy.clear()
        self.rights.denied.clear()
        return await sync([str(self.home / "m.yaml")], state=f"sqlite://{self.home}/state.db", environ={})

    @property
    def writes(self) -> int:
        return sum(call.operation in WRITES and call.status == 200 for call in self.proxy.calls)

    def has(self, content: Generated, key: str = "key") -> bool:
        try:
            return digest_of(self.client, self.bucket, key) == content.sha256()
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
    return word(await world.sync(), world.has(LARGE))


async def proof(world: World) -> str:
    world.write(world.mirror(LARGE))
    await world.sync()
    async with SqliteJournal(world.home / "state.db", read_only=True) as journal:
        (record,) = [record async for record in journal.records()]
    return str(record.object.integrity)


async def second_pass(world: World) -> str:
    world.write(world.mirror(), world.mirror(LARGE, "large"))
    await world.sync()
    report = await world.sync()
    return word(report, report.unchanged == 2 and not world.writes)


async def replaced(world: World) -> str:
    """The source changes."""
    world.write(world.mirror())
    await world.sync()
    world.origin.publish("/key", OTHER)
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
    """kill -9 in the second part."""
    file = world.write(world.mirror(LARGE))
    assert await kill_at(HeldCalls("UploadPart", 3), world.proxy, world.home, file, later=0.5)
    world.rights.install()
    world.proxy.clear()
    done = await sync_command(world.home, file)
    assert (done.code, world.has(LARGE)) == (0, True), done.output
    return "resumes" if world.proxy.counts["UploadPart"] < 3 else "starts over"


async def lost_answer(world: World) -> str:
    """kill -9 after the store has done a put."""
    file = world.write(world.mirror())
    assert await kill_at(HeldCalls("PutObject", answered=True), world.proxy, world.home, file)
    world.rights.install()
    world.proxy.clear()
    done = await sync_command(world.home, file)
    assert (done.code, world.has(SMALL)) == (0, True), done.output
    return "written again" if world.writes else "yes"


async def abort(world: World) -> str:
    """The upload of a killed process whose source has changed since."""
    file = world.write(world.mirror(LARGE))
    assert await kill_at(HeldCalls("UploadPart", 3), world.proxy, world.home, file)
    world.rights.install()
    world.origin.publish("/key", OTHER)
    done = await sync_command(world.home, file)
    assert (done.code, world.has(OTHER)) == (0, True), done.output
    return "left" if open_uploads(world.client, world.bucket) else "yes"


async def sweep(world: World) -> str:
    """The upload of a process that was killed before it knew the upload's id."""
    file = world.write(world.mirror(LARGE))
    assert await kill_at(HeldCalls("CreateMultipartUpload", answered=True), world.proxy, world.home, file)
    world.rights.install()
    for _ in range(2):
        done = await sync_command(world.home, file)
        assert (done.code, world.has(LARGE)) == (0, True), done.output
    return "left" if open_uploads(world.client, world.bucket) else "yes"


async def prune(world: World) -> str:
    world.write(world.mirror(), world.mirror(SMALL, "gone", ", prune: true"))
    await world.sync()
    world.write(world.mirror())
    report = await world.sync()
    return word(report, not world.has(SMALL, "gone"))


async def drift(world: World) -> str:
    """Another program replaces the object."""
    world.write(world.mirror())
    await world.sync()
    world.client.put_object(Bucket=world.bucket, Key="key", Body=b"other bytes")
    return word(await world.sync(), world.has(SMALL), "repaired").replace("no", "not seen")


async def deleted(world: World) -> str:
    """Another program deletes the object."""
    world.write(world.mirror())
    await world.sync()
    world.client.delete_object(Bucket=world.bucket, Key="key")
    return word(await world.sync(), world.has(SMALL), "repaired").replace("no", "not seen")


async def adoption(world: World) -> str:
    """Another program has stored these bytes."""
    world.client.put_object(Bucket=world.bucket, Key="key", Body=b"".join(SMALL.pieces()))
    path = world.home / "file"
    path.write_bytes(b"".join(SMALL.pieces()))
    world.write(f"url: 'file://{path}', to: 's3://{world.bucket}/key'")
    report = await world.sync()
    return word(report, world.has(SMALL), "written again" if world.writes else "yes")


async def never_another(world: World) -> str:
    """It stays."""
    world.client.put_object(Bucket=world.bucket, Key="key", Body=b"other bytes")
    world.write(world.mirror(SMALL, "key", ", overwrite: never"))
    (left,) = (report := await world.sync()).left
    assert not world.has(SMALL)
    return "Conflict" if left.outcome.reason is Reason.CONFLICT else word(report, False)


async def never_free(world: World) -> str:
    world.write(world.mirror(SMALL, "key", ", overwrite: never"))
    return word(await world.sync(), world.has(SMALL))


async def store_copy(world: World) -> str:
    """An s3:// source in the same store."""
    world.client.put_object(Bucket=world.bucket, Key="from", Body=b"".join(SMALL.pieces()))
    world.write(f"url: 's3://{world.bucket}/from', to: 's3://{world.bucket}/key'")
    return word(await world.sync(), world.has(SMALL))


async def verify(world: World) -> str:
    file = world.write(world.mirror())
    assert (await sync_command(world.home, file)).code == 0
    done = await mirrord("verify", str(file), home=world.home)
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
    "multipart upload": multipart,
    "proof of a multipart copy": proof,
    "unchanged at the second pass": second_pass,
    "a changed source is copied": replaced,
    "many items are checked by": listing,
    "resume after kill -9": resumed,
    "a put whose answer was lost": lost_answer,
    "abort of an upload that was replaced": abort,
    "sweep of an upload without an id": sweep,
    "`prune`": prune,
    "object replaced by another program": drift,
    "object deleted by another program": deleted,
    "adoption of equal bytes": adoption,
    "`overwrite: never` and another object": never_another,
    "`overwrite: never` and a free key": never_free,
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


@pytest.mark.parametrize("policy", COLUMNS)
@pytest.mark.parametrize("row", ROWS)
async def test_a_cell(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, bucket: str, origin: Origin, row: str, policy: str
) -> None:
    rights = Rights(store_proxy, policies()[policy])
    found = await ROWS[row](World(tmp_path, store_proxy, s3_client, bucket, origin, rights))
    assert found == CELLS[row][COLUMNS.index(policy)]


def test_the_page_has_these_rows() -> None:
    assert list(CELLS) == list(ROWS)
