"""A call whose outcome is unknown, and a right that is missing: what the next checks do (guarantees 5 and 6).

Each row of the table: the call that was sent last, whether the store carried it out, and the call that is denied then.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from mirrord.errors import ActionDenied, OutcomeUnknown, Reason
from mirrord.events import UploadAborted
from mirrord.model import (
    Destination,
    ObjectOptions,
    Overwrite,
    Part,
    ProviderName,
    State,
    StoredObject,
    Upload,
    UploadOptions,
)
from mirrord.planning.transfers.sweep import COMPLETE_WINDOW
from mirrord.ports import ByteStream
from mirrord.providers import profile
from mirrord.reconcile.sweeper import UploadSweeper
from mirrord.testing import ManualClock, MemorySource, MemoryStore
from mirrord.units import MiB
from tests.support.item_world import AT, UnverifyingStore, World

IN_PARTS = UploadOptions(part_size=5 * MiB, multipart_threshold=5 * MiB, concurrency=1)
LARGE, NEWER = b"l" * (11 * MiB), b"n" * (11 * MiB)  # three parts


class Limited(MemoryStore):
    """Denies the calls in `denied`. The next call of `lost` is carried out if `lands`, and its answer is lost; the
    calls of `then` are denied, too, from there on."""

    denied: frozenset[str] = frozenset()
    then: frozenset[str] = frozenset()
    lost = ""
    lands = True

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.counts = Counter[str]()

    def _permit_call(self, name: str) -> None:
        self.counts[name] += 1
        if name in self.denied:
            raise ActionDenied(f"{name} {AT}: AccessDenied; the credentials need s3:Right", answered=True)

    async def _sent(self, name: str, method: Any, *given: Any, **more: Any) -> Any:
        self._permit_call(name)
        if self.lost != name:
            return await method(*given, **more)
        self.lost, self.denied = "", self.denied | self.then
        kept = dict(self.uploads)
        if self.lands:
            await method(*given, **more)
            self.uploads |= kept if name == "complete" else {}  # not yet removed (FIELD_NOTES 17)
        raise OutcomeUnknown("no answer", retry_after=9)

    async def head_object(self, at: Destination) -> StoredObject | None:
        self._permit_call("head")
        return await super().head_object(at)

    def get_object(self, *given: Any, **more: Any) -> AbstractAsyncContextManager[ByteStream]:
        self._permit_call("get")
        return super().get_object(*given, **more)

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        return await self._sent("put", super().put_object, *given, **more)  # type: ignore[no-any-return]

    async def create_upload(self, *given: Any, **more: Any) -> str:
        return await self._sent("create", super().create_upload, *given, **more)  # type: ignore[no-any-return]

    async def upload_part(self, *given: Any, **more: Any) -> Part:
        return await self._sent("part", super().upload_part, *given, **more)  # type: ignore[no-any-return]

    async def complete_upload(self, *given: Any, **more: Any) -> StoredObject:
        return await self._sent("complete", super().complete_upload, *given, **more)  # type: ignore[no-any-return]

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        self._permit_call("abort")
        await super().abort_upload(at, upload_id)

    async def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        self._permit_call("parts")
        async for part in super().list_parts(at, upload_id):
            yield part

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        self._permit_call("uploads")
        async for upload in super().list_uploads(bucket, prefix):
            yield upload


@dataclass
class Denied:
    """A world whose store is limited, with a clock that moves and a sweeper."""

    world: World
    store: Limited
    clock: ManualClock
    sweeper: UploadSweeper

    async def check(self, failures: int = 0, content: bytes | None = None, **options: Any) -> Any:
        """One check, after all pauses and after the source changed to `content`, and a sweep."""
        if failures:
            await self.clock.advance(60)
        if content is not None:
            self.world.origin.content, self.world.origin.etag = content, f'"{len(content)}{content[:1]!r}"'
        outcome = await self.world.check(failures, upload=IN_PARTS, **options)
        await self.sweeper.sweep()
        return outcome

    @property
    def aborted(self) -> int:
        return self.store.counts["abort"]


def denied_world(*denied: str, provider: ProviderName = ProviderName.SEAWEEDFS) -> Denied:
    clock = ManualClock()
    store = Limited(profile(provider), clock=clock.now)
    store.denied = frozenset(denied)
    world = World(origin=MemorySource(ranges=True), store=store)
    object.__setattr__(world.reconciler, "clock", clock)
    object.__setattr__(world.reconciler.transfers, "clock", clock)

    async def store_at(_: object) -> MemoryStore:
        return store

    sweeper = UploadSweeper(journal=world.journal, store_at=store_at, observer=world.events.append, clock=clock)
    return Denied(world, store, clock, sweeper)


READS = ("head", "get")


# ── a put ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("lands", [True, False])
async def test_a_put_of_unknown_outcome_that_no_head_may_settle_is_repeated(lands: bool) -> None:
    """Its bytes are the same, and a put that was carried out cannot replace a later one."""
    one = denied_world(*READS)
    one.store.lost, one.store.lands = "put", lands
    assert (await one.check()).state is State.RETRYING
    assert one.store.counts["put"] == 1, "not in the same attempt"
    outcome = await one.check(1)
    assert (outcome.state, one.world.content, one.store.counts["put"]) == (State.SYNCED, b"one", 2)
    assert await one.world.unfinished() == 0
    outcome = await one.check()
    assert (outcome.state, one.store.counts["put"]) == (State.SYNCED, 2)
    assert "HeadObject" in outcome.message or "s3:Right" in outcome.message


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("overwrite", [Overwrite.NEVER, Overwrite.OWNED])
async def test_a_put_that_must_not_replace_an_object_is_not_repeated_without_a_condition(
    overwrite: Overwrite, lands: bool
) -> None:
    one = denied_world(provider=ProviderName.GENERIC)
    one.store.lost, one.store.lands, one.store.then = "put", lands, frozenset(READS)
    assert not one.store.provider.conditional_puts
    assert (await one.world.check(overwrite=overwrite)).state is State.RETRYING
    outcome = await one.world.check(1, overwrite=overwrite)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_DENIED)
    assert one.store.counts["put"] == 1


# ── CompleteMultipartUpload ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("provider", [ProviderName.SEAWEEDFS, ProviderName.AWS, ProviderName.GENERIC])
async def test_a_completion_that_no_head_may_settle_blocks_the_item_and_the_upload_stays_open(
    provider: ProviderName, changed: bool, lands: bool
) -> None:
    """Also after its window, and if the source changed: a second upload could be replaced by the first."""
    one = denied_world(*READS, provider=provider)
    one.store.lost, one.store.lands = "complete", lands
    assert (await one.check(content=LARGE)).state is State.RETRYING
    (upload_id,) = one.store.uploads
    for number in range(1, 4):
        outcome = await one.check(number, content=NEWER if changed else None)
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_DENIED)
        assert upload_id in outcome.message
        assert "s3:Right" in outcome.message
        await one.clock.advance(COMPLETE_WINDOW)
    assert (list(one.store.uploads), one.aborted, one.store.counts["create"]) == ([upload_id], 0, 1)
    assert one.store.counts["complete"] == 1
    assert one.world.content == (LARGE if lands else None)

    one.store.denied = frozenset()
    parts = one.store.counts["part"]
    outcome = await one.check(4)
    assert (outcome.state, one.world.content) == (State.SYNCED, NEWER if changed else LARGE)
    assert (one.store.counts["part"] == parts) is (lands and not changed), "what landed is not sent again"
    assert (one.aborted == 0) is lands, "an upload whose object stands is never aborted"


async def test_a_completion_is_repeated_with_the_parts_of_the_journal_where_they_may_not_be_listed() -> None:
    """A HEAD showed that it did not happen."""
    one = denied_world("parts")
    one.store.lost, one.store.lands = "complete", False
    assert (await one.check(content=LARGE)).state is State.RETRYING
    await one.check(1)
    assert (one.world.content, one.store.counts["part"], one.store.counts["create"]) == (LARGE, 3, 1)
    assert (one.store.counts["complete"], one.aborted) == (2, 0)


@pytest.mark.parametrize("lands", [True, False])
async def test_an_upload_that_may_not_be_aborted_stays_and_stops_no_newer_one(lands: bool) -> None:
    one = denied_world("abort")
    one.store.lost, one.store.lands = "complete", lands
    await one.check(content=LARGE)
    (upload_id,) = one.store.uploads
    outcome = await one.check(1, content=NEWER)
    assert (outcome.state, one.world.content) == (State.SYNCED, NEWER)
    for _ in range(2):
        await one.clock.advance(COMPLETE_WINDOW)
        await one.sweeper.sweep()
    assert list(one.store.uploads) == [upload_id]
    assert [event for event in one.world.events if isinstance(event, UploadAborted)] == []
    one.store.denied = frozenset()
    await one.sweeper.sweep()
    assert (list(one.store.uploads) == []) is not lands


# ── UploadPart, CreateMultipartUpload ─────────────────────────────────────────────────────────────
@pytest.mark.parametrize("denied", [READS, ("parts",), (*READS, "parts", "uploads", "abort")])
async def test_journaled_parts_are_not_sent_again_without_a_right_to_read(denied: tuple[str, ...]) -> None:
    one = denied_world(*denied)
    cut = True

    async def on_read(offset: int) -> None:
        if offset >= 10 * MiB and cut:
            await asyncio.Event().wait()

    one.world.origin.hooks.on_read = on_read
    check = asyncio.create_task(one.check(content=LARGE))
    while one.store.counts["part"] < 2:  # noqa: ASYNC110 - the store has no event
        await asyncio.sleep(0)
    check.cancel()
    await asyncio.wait([check])
    cut = False
    (upload,) = one.store.uploads.values()
    assert len(upload.parts) == 2
    outcome = await one.check(1)
    assert (outcome.state, one.world.content) == (State.SYNCED, LARGE)
    assert (one.store.counts["part"], one.store.counts["create"]) == (3, 1)


async def test_an_upload_without_an_id_that_may_not_be_listed_stays() -> None:
    one = denied_world("uploads")
    one.store.lost = "create"
    await one.check(content=LARGE)
    outcome = await one.check(1)
    assert (outcome.state, one.world.content, len(one.store.uploads)) == (State.SYNCED, LARGE, 1)
    one.store.denied = frozenset()
    await one.sweeper.sweep()
    assert one.store.uploads == {}


# ── proofs ────────────────────────────────────────────────────────────────────────────────────────
class LimitedAndUnverifying(Limited, UnverifyingStore):
    """Shows no checksum, so each copy must be read back."""


async def test_an_object_that_only_a_denied_read_could_prove_is_not_written_at_each_check() -> None:
    one = denied_world(*READS)
    store = LimitedAndUnverifying(profile(ProviderName.GENERIC))
    store.denied, store.buckets = one.store.denied, one.store.buckets
    one.world.store = store
    for number in range(3):
        outcome = await one.world.check(number)
        assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_DENIED)
        assert "s3:Right" in outcome.message
    assert store.counts["put"] == 1
    store.denied = frozenset()
    assert (await one.world.check()).state is State.SYNCED
    assert await one.world.unfinished() == 0


async def test_nothing_is_written_that_must_be_read_back_and_cannot_be() -> None:
    one = denied_world(*READS)
    outcome = await one.world.check(readback=True)
    assert (outcome.state, one.store.counts["put"]) == (State.BLOCKED, 0)


async def test_a_first_write_needs_no_right_to_read() -> None:
    one = denied_world(*READS)
    await one.store.put_object(AT, memoryview(b"another program's"), ObjectOptions())
    assert (await one.check()).state is State.SYNCED
    assert one.world.content == b"one"
    outcome = await one.check(content=b"changed")
    assert (outcome.state, one.world.content) == (State.SYNCED, b"changed")
