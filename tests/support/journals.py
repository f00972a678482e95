"""The journals of the contract suite of `ports.Journal`, and records and transfers to write to them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    FileIdentity,
    Integrity,
    Part,
    PartSizes,
    Record,
    Revision,
    State,
    Transfer,
    TransferKind,
)
from mirrord.ports import Journal
from mirrord.testing import MemoryJournal
from tests.support.postgres import LeasedJournal
from tests.support.records import make_record, with_fields


class Journals:
    """A journal to write to, and the journal that a later reader opens."""

    def __init__(self, make: Callable[[], Journal], *, reopen: bool) -> None:
        self._make = make
        self._reopen = reopen
        self._stack = AsyncExitStack()
        self.now: Journal

    async def open(self) -> None:
        self.now = await self._stack.enter_async_context(self._make())

    async def later(self) -> Journal:
        if self._reopen:
            await self.close()
            await self.open()
        return self.now

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture(params=["sqlite", "sqlite reopened", "postgres", "memory"])
async def journals(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journals]:
    path = tmp_path / "state" / "state.db"
    kinds = {
        "sqlite": Journals(lambda: SqliteJournal(path), reopen=False),
        "sqlite reopened": Journals(lambda: SqliteJournal(path), reopen=True),
        "memory": Journals(MemoryJournal, reopen=False),
    }
    if request.param == "postgres":
        uri = request.getfixturevalue("postgres_uri")
        kinds[request.param] = Journals(lambda: LeasedJournal(uri), reopen=False)
    journals = kinds[request.param]
    await journals.open()
    yield journals
    await journals.close()


def at(key: str) -> Destination:
    return Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="datasets", key=key)


def record(key: str = "geo/city.mmdb", **changes: object) -> Record:
    bare = make_record(
        item_id=at(key).item_id,
        entry=key,
        source="https://example.org/" + key,
        destination=at(key),
        state=State.PENDING,
    )
    return with_fields(bare, **changes)


FULL = record(
    state=State.BLOCKED,
    reason=Reason.CHECKSUM_MISMATCH,
    message='the store said: "no"\n2nd line, ünïcode, 100 %',
    since=1_700_000_000.123456,
    next_check=1_700_003_600.654321,
    revision=Revision(
        address="0123456789abcdef",
        etag='W/"a\\"b"',
        last_modified="Wed, 21 Oct 2015 07:28:00 GMT",
        length=5 * 2**40,
        digest="sha256:" + "ab" * 32,
        file=FileIdentity(
            device=2**64 - 1, inode=2**64 - 2, size=2**62, mtime_ns=-1, ctime_ns=1_700_000_000_123_456_789
        ),
        location="fedcba9876543210",
        departs=True,
        restored="v/1",
    ),
    transfer_id="t-1",
    etag='"9bb58f26192e4ba00f01e2e7b136bbd8-3"',
    size=5 * 2**40,
    checksum=Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg="),
    integrity=Integrity.FULL_OBJECT,
    etag_from_head=True,
    listed_etag='"of listings"',
    synced_at=1_700_000_001.5,
    options_digest="feed",
    removed=1_700_000_002.75,
    dated=1_700_000_003.123456,
)


def transfer(number: int = 1, **changes: object) -> Transfer:
    bare = Transfer(
        id=f"t-{number}",
        item_id=at("k").item_id,
        destination=at("k"),
        revision=Revision(address="0123456789abcdef", etag='"strong"', length=3),
        kind=TransferKind.MULTIPART,
        part_sizes=PartSizes.equal(8 * 2**20),
        started=1_700_000_000.25,
    )
    return with_fields(bare, **changes)


FULL_TRANSFER = transfer(
    checksum_kind=ChecksumKind.CRC64NVME,
    options_digest="feed",
    upload_id="u/+=&-ü",
    whole=Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg="),
    given_up=1_700_000_003.25,
    complete_requested=1_700_000_002.5,
)


def part(number: int, etag: str = '"e"') -> Part:
    return Part(number=number, size=5 * 2**30, etag=etag, checksum=Checksum(ChecksumKind.CRC32C, f"c{number}=="))


async def every(stream: AsyncIterator[object]) -> list[object]:
    return [one async for one in stream]


def by_id(*records: Record) -> list[Record]:
    return sorted(records, key=lambda one: one.item_id)
