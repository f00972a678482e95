"""`copy` with a scripted source and store: what is stored, what is refused, and what is left at the store."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import md5, sha256

import pytest

from mirrord import checksums
from mirrord.errors import (
    ChecksumMismatch,
    LengthMismatch,
    MirrordError,
    OutcomeUnknown,
    SourceChanged,
    SourceRefused,
    SourceTooLarge,
    SourceUnavailable,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import ChecksumKind, Integrity, Observed, PartSizes, ProviderName, TransferKind
from mirrord.planning.timing.backoff import Backoff
from mirrord.planning.transfers.parts import PartLayout
from mirrord.providers import Provider, profile
from mirrord.testing import MemorySource, SourceHooks
from mirrord.transfer import multipart
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.retry import RetryPolicy
from mirrord.transfer.spec import TransferContext, TransferSpec
from mirrord.units import KiB, MiB
from tests.support.moving import AT, ScriptedStore, parts_of, source_of, transfer_spec, whole

PART = 128 * KiB
CONTENT = os.urandom(10 * PART + 77)


class Waits(list[float]):
    """A sleep that only records its seconds."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


def context(store: ScriptedStore, **more: object) -> TransferContext:
    return TransferContext(store=store, budget=Budget(4 * MiB), **more)  # type: ignore[arg-type]


def failing(error: BaseException, *, numbers: tuple[int, ...] = (), times: int = 99) -> Callable[..., Awaitable[None]]:
    left = times

    async def step(*seen: int) -> None:
        nonlocal left
        if left and (not numbers or seen[0] in numbers):
            left -= 1
            raise error

    return step


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def broken(at: int) -> None:
    if at >= 5 * PART:
        raise SourceUnavailable("the connection broke")


class Changing(MemorySource):
    """A source whose revision changed while it was read."""

    async def confirm(self, observed: Observed) -> None:
        raise SourceChanged("the source changed")


class Arrived(MemorySource):
    """A source whose bytes came with the probe."""

    def arrived(self, observed: Observed) -> bytes | None:
        return self.content


# ── what is stored ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("length", [0, 1, 100_000])
async def test_a_put(length: int) -> None:
    source, store = source_of(CONTENT[:length]), ScriptedStore()
    copied = await copy(transfer_spec(whole(length)), source, source.observed, context(store))
    assert store.objects == {AT.key: CONTENT[:length]}
    assert store.log == ["put"]
    assert source.log.confirmed == 1
    assert (copied.kind, copied.size, copied.parts) == (TransferKind.PUT, length, 1)
    assert copied.integrity is Integrity.FULL_OBJECT
    assert copied.checksum == checksums.compute(ChecksumKind.CRC64NVME, memoryview(CONTENT[:length]))


async def test_a_body_that_arrived_is_put_without_a_stream() -> None:
    source, store, counted = Arrived(CONTENT[:PART]), ScriptedStore(), list[tuple[int, int]]()
    carried = context(store)
    copied = await copy(
        transfer_spec(whole(PART)), source, source.observed, carried, lambda *seen: counted.append(seen)
    )
    assert store.objects == {AT.key: CONTENT[:PART]}
    assert source.log.opened == []
    assert counted == [(PART, 0), (PART, PART)]
    assert (copied.size, copied.integrity) == (PART, Integrity.FULL_OBJECT)
    assert carried.budget.mapped == 0


async def test_the_declared_digest_of_a_body_that_arrived_is_compared_with_it() -> None:
    source, store = Arrived(CONTENT[:PART]), ScriptedStore()
    digest = sha256(CONTENT[:PART]).hexdigest()
    copied = await copy(transfer_spec(whole(PART), sha256=digest), source, source.observed, context(store))
    assert copied.revision.digest == f"sha256:{digest}"
    assert store.objects == {AT.key: CONTENT[:PART]}


@pytest.mark.parametrize("demands", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"size": PART + 1}])
async def test_a_body_that_arrived_has_the_declared_bytes(demands: dict[str, object]) -> None:
    source, store = Arrived(CONTENT[:PART]), ScriptedStore()
    with pytest.raises(ChecksumMismatch, match="declared w"):
        await copy(transfer_spec(whole(PART), **demands), source, source.observed, context(store))
    assert store.log == []


@pytest.mark.parametrize("length", [PART - 1, PART + 1])
async def test_a_body_that_arrived_has_the_announced_length(length: int) -> None:
    source, store = Arrived(CONTENT[:PART], claims=lambda _: length), ScriptedStore()
    with pytest.raises(LengthMismatch):
        await copy(transfer_spec(whole(PART)), source, source.observed, context(store))
    assert store.log == []


@pytest.mark.parametrize("length", [PART, PART + 1, 2 * PART, len(CONTENT)])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("step", [777, PART, 1 << 20])
async def test_parts(length: int, known: bool, step: int) -> None:
    source = source_of(CONTENT[:length], length=length if known else None, step=step)
    store = ScriptedStore()
    copied = await copy(transfer_spec(parts_of(PART)), source, source.observed, context(store))
    assert store.objects == {AT.key: CONTENT[:length]}
    assert store.uploads == {}
    assert sorted(store.part_sizes, reverse=True)[: length // PART] == [PART] * (length // PART)
    assert (copied.kind, copied.size, copied.parts) == (TransferKind.MULTIPART, length, -(-length // PART))
    assert copied.checksum == checksums.compute(ChecksumKind.CRC64NVME, memoryview(CONTENT[:length]))
    assert copied.integrity is Integrity.FULL_OBJECT


@pytest.mark.parametrize(
    ("planned", "made"),
    [
        (PartSizes(PART, 4 * PART, 1), [PART, 2 * PART, 4 * PART, 3 * PART + 77]),
        (PartSizes(PART, 3 * PART, 2), [PART, PART, 2 * PART, 2 * PART, 3 * PART, PART + 77]),
        (PartSizes.equal(4 * PART), [4 * PART, 4 * PART, 2 * PART + 77]),
    ],
)
async def test_parts_of_unknown_length_have_the_planned_sizes(planned: PartSizes, made: list[int]) -> None:
    source, store = source_of(CONTENT, length=None), ScriptedStore()
    spec = transfer_spec(PartLayout(TransferKind.MULTIPART, planned, 1))
    await copy(spec, source, source.observed, context(store))
    assert store.part_sizes == made
    assert store.objects == {AT.key: CONTENT}


@pytest.mark.parametrize("length", [0, 1, PART - 1])
async def test_a_short_stream_of_unknown_length_is_a_put(length: int) -> None:
    source, store = source_of(CONTENT[:length], length=None), ScriptedStore()
    copied = await copy(transfer_spec(parts_of(PART)), source, source.observed, context(store))
    assert store.log == ["put"]
    assert copied.kind is TransferKind.PUT
    assert store.objects == {AT.key: CONTENT[:length]}


@pytest.mark.parametrize(
    ("kind", "provider", "cut", "level"),
    [
        (ChecksumKind.CRC32C, ProviderName.AWS, whole(len(CONTENT)), Integrity.FULL_OBJECT),
        (ChecksumKind.SHA256, ProviderName.AWS, whole(len(CONTENT)), Integrity.FULL_OBJECT),
        (ChecksumKind.MD5, ProviderName.R2, whole(len(CONTENT)), Integrity.MD5),
        (ChecksumKind.NONE, ProviderName.AWS, whole(len(CONTENT)), Integrity.LENGTH),
        (ChecksumKind.CRC32, ProviderName.AWS, parts_of(PART), Integrity.FULL_OBJECT),
        (ChecksumKind.SHA256, ProviderName.AWS, parts_of(PART), Integrity.LENGTH),  # no HEAD: there is no transfer id
        (ChecksumKind.SHA256, ProviderName.R2, parts_of(PART), Integrity.LENGTH),
        (ChecksumKind.MD5, ProviderName.R2, parts_of(PART), Integrity.MD5),
        (ChecksumKind.NONE, ProviderName.AWS, parts_of(PART), Integrity.LENGTH),
    ],
)
async def test_the_level_of_integrity_reached(kind: ChecksumKind, provider: ProviderName, cut, level) -> None:
    source, store = source_of(CONTENT), ScriptedStore(provider=profile(provider))
    copied = await copy(transfer_spec(cut, kind), source, source.observed, context(store))
    assert copied.integrity is level
    assert store.objects == {AT.key: CONTENT}


async def test_progress_ends_at_the_size_on_both_sides() -> None:
    seen: list[tuple[int, int]] = []
    source = source_of(CONTENT)
    await copy(
        transfer_spec(parts_of(PART)), source, source.observed, context(ScriptedStore()), lambda *at: seen.append(at)
    )
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert all(sent <= read for read, sent in seen)


async def test_parts_in_flight_and_buffers_stay_below_their_limits() -> None:
    budget = Budget(MiB)
    highest = 0

    async def look(*_: object) -> None:
        nonlocal highest
        highest = max(highest, budget.mapped)
        await asyncio.sleep(0)

    store = ScriptedStore(on={"part": look})
    specs = [transfer_spec(parts_of(PART, concurrency=4)) for _ in range(6)]
    sources = [source_of(CONTENT, length=None if n % 2 else -1) for n in range(6)]
    carried = TransferContext(store=store, budget=budget)
    await asyncio.gather(*(copy(one, s, s.observed, carried) for one, s in zip(specs, sources, strict=True)))
    assert 4 * PART <= highest <= MiB
    assert budget.in_use == 0


async def test_reading_continues_while_parts_are_in_flight() -> None:
    """While one part is in flight without an answer, the next one is already read."""
    second = asyncio.Event()

    def progress(taken: int, _sent: int) -> None:
        if taken >= 2 * PART:
            second.set()

    store = ScriptedStore(on={"part": never})
    source = source_of(CONTENT)
    task = asyncio.create_task(
        copy(transfer_spec(parts_of(PART, concurrency=1)), source, source.observed, context(store), progress)
    )
    await second.wait()
    assert store.log[-1] == "part 1"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ── what is refused before any byte ───────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"max_size": 1000}, SourceTooLarge, "max_size is 1000 B"),
        ({"content_type": "application/gzip"}, SourceRefused, "text/html"),
    ],
)
async def test_refused_before_any_read(more: dict[str, object], error: type[MirrordError], words: str) -> None:
    source, store = source_of(CONTENT, content_type="text/html; charset=utf-8"), ScriptedStore()
    with pytest.raises(error, match=words):
        await copy(transfer_spec(parts_of(PART), **more), source, source.observed, context(store))
    assert store.log == []
    assert source.log.opened == []


async def test_a_media_type_is_compared_without_its_parameters() -> None:
    source, store = source_of(b"x", content_type="Text/CSV; charset=utf-8"), ScriptedStore()
    await copy(transfer_spec(whole(1), content_type="text/csv"), source, source.observed, context(store))
    assert store.log == ["put"]


# ── a declared digest ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "cut", [whole(len(CONTENT)), parts_of(PART), parts_of(4 * PART)], ids=["put", "parts", "large parts"]
)
async def test_bytes_with_the_declared_digest(cut) -> None:
    source, store = source_of(CONTENT, step=50_000), ScriptedStore()
    digest = sha256(CONTENT).hexdigest()
    copied = await copy(transfer_spec(cut, sha256=digest), source, source.observed, context(store))
    assert store.objects == {AT.key: CONTENT}
    assert copied.revision == replace(source.observed.revision, digest=f"sha256:{digest}")


@pytest.mark.parametrize("cut", [whole(len(CONTENT)), parts_of(PART)], ids=["put", "parts"])
@pytest.mark.parametrize("content", [CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), b"", CONTENT[::-1]])
async def test_other_bytes_than_declared_never_become_visible(content: bytes, cut) -> None:
    source, store = source_of(content, length=None), ScriptedStore()
    store.hold(b"before")
    with pytest.raises(ChecksumMismatch, match=f"{sha256(content).hexdigest()}, declared was"):
        await copy(transfer_spec(cut, sha256=sha256(CONTENT).hexdigest()), source, source.observed, context(store))
    assert store.objects == {AT.key: b"before"}
    assert store.uploads == {}
    assert not {"put", "complete"} & set(store.log)


@pytest.mark.parametrize("cut", [whole(len(CONTENT)), parts_of(PART)], ids=["put", "parts"])
async def test_bytes_with_the_declared_md5_and_length(cut) -> None:
    source, store = source_of(CONTENT), ScriptedStore()
    digest = md5(CONTENT, usedforsecurity=False).hexdigest()
    spec = transfer_spec(cut, md5=digest, size=len(CONTENT))
    copied = await copy(spec, source, source.observed, context(store))
    assert store.objects == {AT.key: CONTENT}
    assert copied.revision == replace(source.observed.revision, digest=f"md5:{digest}")


@pytest.mark.parametrize("length", [len(CONTENT), None], ids=["known length", "unknown length"])
@pytest.mark.parametrize("cut", [whole(len(CONTENT)), parts_of(PART)], ids=["put", "parts"])
@pytest.mark.parametrize("demands", [{"md5": "0" * 32}, {"size": len(CONTENT) - 1}, {"size": len(CONTENT) + 1}])
async def test_another_md5_or_length_than_declared_never_becomes_visible(demands, cut, length) -> None:
    source, store = source_of(CONTENT, length=length), ScriptedStore()
    store.hold(b"before")
    with pytest.raises(ChecksumMismatch, match="declared w"):
        await copy(transfer_spec(cut, **demands), source, source.observed, context(store))
    assert store.objects == {AT.key: b"before"}
    assert store.uploads == {}
    assert not {"put", "complete"} & set(store.log)


async def test_another_length_than_declared_is_refused_before_parallel_ranges_are_read() -> None:
    source, store = MemorySource(CONTENT), ScriptedStore()
    with pytest.raises(ChecksumMismatch, match="declared were"):
        await copy(transfer_spec(parts_of(PART), size=len(CONTENT) + 1), source, source.observed, context(store))
    assert source.log.opened == []
    assert store.log == []


# ── the source sends other bytes: nothing becomes visible ───────────────────────────────────────────
SHORT = len(CONTENT) - 1
BREAKS: list[tuple[str, MemorySource, dict[str, object], type[MirrordError]]] = [
    ("cut short", source_of(CONTENT, hooks=SourceHooks(on_read=broken)), {}, SourceUnavailable),
    ("ends early", source_of(CONTENT[:SHORT], length=len(CONTENT)), {}, LengthMismatch),
    ("ends at a part's end", source_of(CONTENT[: 4 * PART], length=5 * PART), {}, LengthMismatch),
    ("too long", source_of(CONTENT, length=SHORT), {}, LengthMismatch),
    ("too long past a part", source_of(CONTENT[: 4 * PART + 1], length=4 * PART), {}, LengthMismatch),
    ("over max_size", source_of(CONTENT, length=None), {"max_size": 6 * PART}, SourceTooLarge),
    ("changed", Changing(CONTENT, ranges=False), {}, SourceChanged),
]


@pytest.mark.parametrize(("source", "more", "error"), [b[1:] for b in BREAKS], ids=[b[0] for b in BREAKS])
@pytest.mark.parametrize("kind", TransferKind)
async def test_a_source_that_differs_from_its_revision_leaves_nothing(
    source: MemorySource, more: dict[str, object], error: type[MirrordError], kind: TransferKind
) -> None:
    store = ScriptedStore()
    store.hold(b"before")
    length = source.observed.revision.length
    cut = whole(length) if kind is TransferKind.PUT and length is not None else parts_of(PART)
    carried = TransferContext(store=store, budget=Budget(4 * MiB))
    with pytest.raises(error):
        await copy(transfer_spec(cut, **more), source, source.observed, carried)
    assert store.objects == {AT.key: b"before"}
    assert store.uploads == {}
    assert "complete" not in store.log
    assert "put" not in store.log
    assert carried.budget.in_use == 0


# ── the store fails ───────────────────────────────────────────────────────────────────────────────
async def run_parts(store: ScriptedStore, one: TransferSpec | None = None, **more: object) -> None:
    source = source_of(CONTENT)
    carried = context(store, **more)
    try:
        await copy(one or transfer_spec(parts_of(PART)), source, source.observed, carried)
    finally:
        assert carried.budget.in_use == 0


@pytest.mark.parametrize("error", [StoreUnavailable("503"), OutcomeUnknown("lost"), ChecksumMismatch("BadDigest")])
async def test_a_part_is_sent_again_from_its_buffer(error: MirrordError) -> None:
    waits = Waits()
    store = ScriptedStore(on={"part": failing(error, numbers=(3,), times=2)})
    await run_parts(store, retry=RetryPolicy(sleep=waits, chance=lambda: 0.5, rule=Backoff(base=1, tries=3)))
    assert store.objects == {AT.key: CONTENT}
    assert store.log.count("part 3") == 3
    assert waits == [0.5, 1.0]


async def test_a_part_is_not_repeated_before_retry_after() -> None:
    waits = Waits()
    store = ScriptedStore(on={"part": failing(StoreUnavailable("slow", retry_after=7), times=1)})
    await run_parts(store, retry=RetryPolicy(sleep=waits, chance=lambda: 0.0))
    assert waits == [7.0]


async def test_a_part_that_keeps_failing_ends_the_upload_drained_then_aborted() -> None:
    waits = Waits()
    undone: list[str] = []
    store = ScriptedStore(on={"part": failing(StoreUnavailable("503"), numbers=(4,))})
    with pytest.raises(StoreUnavailable):
        await run_parts(store, retry=RetryPolicy(sleep=waits, rule=Backoff(tries=3)), aborted=undone.append)
    assert store.log.count("part 4") == 3
    assert store.log[-2:] == ["abort with 0 in flight", "aborted"]
    assert undone == ["upload-1"]
    assert store.uploads == {}
    assert store.objects == {}


async def test_a_permanent_refusal_is_not_repeated() -> None:
    store = ScriptedStore(on={"part": failing(StoreDenied("403"), numbers=(2,))})
    with pytest.raises(StoreDenied):
        await run_parts(store)
    assert store.log.count("part 2") == 1
    assert store.log[-2:] == ["abort with 0 in flight", "aborted"]


async def test_a_failed_part_is_noticed_while_the_source_stalls() -> None:
    async def stall(at: int) -> None:
        if at >= 3 * PART:
            await never()

    store = ScriptedStore(on={"part": failing(StoreDenied("403"), numbers=(2,))})
    source = source_of(CONTENT, hooks=SourceHooks(on_read=stall))
    async with asyncio.timeout(5):
        with pytest.raises(StoreDenied):
            await copy(transfer_spec(parts_of(PART)), source, source.observed, context(store))
    assert store.log[-1] == "aborted"


@pytest.mark.parametrize("call", ["complete", "create"])
async def test_an_upload_that_cannot_be_completed_or_created(call: str) -> None:
    store = ScriptedStore(on={call: failing(StoreRefused("400"))})
    with pytest.raises(StoreRefused):
        await run_parts(store)
    assert store.uploads == {}
    assert ("aborted" in store.log) is (call == "complete")


async def test_a_failed_abort_is_a_note_on_the_first_error() -> None:
    store = ScriptedStore(
        on={"part": failing(StoreDenied("403"), numbers=(2,)), "abort": failing(StoreUnavailable("gone away"))}
    )
    with pytest.raises(StoreDenied) as caught:
        await run_parts(store)
    assert caught.value.__notes__ == ["upload upload-1 of s3://bucket/key.bin could not be aborted: gone away"]


async def test_an_abort_without_answer_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "ABORT_DEADLINE", 0.01)
    store = ScriptedStore(on={"part": failing(StoreDenied("403"), numbers=(2,)), "abort": never})
    with pytest.raises(StoreDenied) as caught:
        await run_parts(store)
    assert "could not be aborted" in caught.value.__notes__[0]


async def test_the_error_about_too_many_parts_names_part_size() -> None:
    few = Provider(name=ProviderName.GENERIC, max_parts=4)
    store = ScriptedStore(provider=few)
    source = source_of(CONTENT, length=None)
    with pytest.raises(SourceTooLarge, match=r"upload\.part_size"):
        await copy(transfer_spec(parts_of(PART), ChecksumKind.MD5), source, source.observed, context(store))
    assert store.log[-1] == "aborted"


# ── cancellation ──────────────────────────────────────────────────────────────────────────────────
async def started(store: ScriptedStore, line: str) -> asyncio.Task[None]:
    task = asyncio.create_task(run_parts(store))
    await store.log.reached(line)
    return task


async def test_cancelled_during_a_part_drains_then_aborts() -> None:
    store = ScriptedStore(on={"part": never})
    task = await started(store, "part 2")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.log[-2:] == ["abort with 0 in flight", "aborted"]
    assert store.uploads == {}


async def test_a_second_cancellation_does_not_interrupt_the_abort() -> None:
    gate = asyncio.Event()

    async def gated() -> None:
        await gate.wait()

    store = ScriptedStore(on={"part": never, "abort": gated})
    task = await started(store, "part 1")
    task.cancel()
    await store.log.reached("abort with 0 in flight")
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.log[-1] == "aborted"


async def test_cancelled_while_creating_leaves_no_upload() -> None:
    gate = asyncio.Event()

    async def gated() -> None:
        await gate.wait()

    store = ScriptedStore(on={"create": gated})
    task = await started(store, "create")
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.log == ["create", "created", "abort with 0 in flight", "aborted"]


async def test_cancelled_while_completing_ends_with_the_whole_object() -> None:
    gate = asyncio.Event()

    async def gated() -> None:
        await gate.wait()

    store = ScriptedStore(on={"complete": gated})
    task = await started(store, "complete")
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.objects == {AT.key: CONTENT}
    assert "aborted" not in store.log


@pytest.mark.parametrize("turns", range(0, 120, 7))
async def test_cancelled_at_any_moment(turns: int) -> None:
    store = ScriptedStore()
    task = asyncio.create_task(run_parts(store))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert store.uploads == {}
    assert store.objects in ({}, {AT.key: CONTENT})
    assert task.cancelled() or store.objects
