"""Copies of pinned sources with a scripted source and store: what is read, kept, recorded and resumed."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import Any

import pytest

from mirrord import checksums
from mirrord.errors import (
    ChecksumMismatch,
    MirrordError,
    SourceChanged,
    SourceUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from mirrord.model import Checksum, ChecksumKind, Observed, Part, Revision
from mirrord.planning.timing.backoff import Backoff
from mirrord.planning.transfers.resume import PartRange
from mirrord.testing import MemorySource, MemoryUpload, SourceHooks
from mirrord.transfer import resuming
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.resuming import BREAKS_RESET_AFTER, ResumingStream
from mirrord.transfer.retry import RetryPolicy
from mirrord.transfer.spec import TransferContext, TransferSpec
from mirrord.units import KiB, MiB
from tests.support.moving import AT, ScriptedStore, parts_of, transfer_spec

PART = 128 * KiB
CONTENT = os.urandom(10 * PART + 77)
OBSERVED = Observed(revision=Revision(address="a", etag='"v1"', length=len(CONTENT)), ranges=True)


def pinned(content: bytes = CONTENT, *, step: int = 50_000, **hooks: Any) -> MemorySource:
    return MemorySource(content, '"v1"', "a", step=step, hooks=SourceHooks(**hooks))


@dataclass
class Written:
    """A ledger as a list of lines. `keep` is the result of `keeps`; `slow` delays the line of each part."""

    keep: bool = False
    lines: list[str] = field(default_factory=list)
    parts: dict[int, Part] = field(default_factory=dict)
    whole: Checksum | None = None
    slow: asyncio.Event | None = None
    fails: MirrordError | None = None

    async def opened(self, upload_id: str) -> None:
        self.lines.append(f"opened {upload_id}")

    async def unanswered(self) -> None:
        self.lines.append("unanswered")

    async def part_done(self, part: Part) -> None:
        if self.fails is not None:
            raise self.fails
        if self.slow is not None:
            await self.slow.wait()
        self.lines.append(f"part {part.number}")
        self.parts[part.number] = part

    async def completing(self, whole: Checksum | None) -> None:
        self.lines.append("completing")
        self.whole = whole

    def keeps(self, error: BaseException | None) -> bool:
        return self.keep and error is not None


class Waits(list[float]):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


def context(store: ScriptedStore, ledger: Written, **more: object) -> TransferContext:
    retry = RetryPolicy(sleep=Waits(), chance=lambda: 0.5, rule=Backoff(base=1, tries=3))
    return TransferContext(store=store, budget=Budget(8 * MiB), ledger=ledger, retry=retry, **more)  # type: ignore[arg-type]


def numbered(*numbers: int) -> dict[int, Part]:
    found = {}
    for number in numbers:
        body = CONTENT[(number - 1) * PART : number * PART]
        checksum = checksums.compute(ChecksumKind.CRC64NVME, memoryview(body))
        found[number] = Part(number=number, size=len(body), etag=f'"{md5(body).hexdigest()}"', checksum=checksum)
    return found


def with_kept(*numbers: int) -> tuple[ScriptedStore, TransferSpec]:
    """A store with an open upload that has these parts, and the spec that resumes it."""
    store = ScriptedStore()
    one, parts = transfer_spec(parts_of(PART)), numbered(*numbers)
    held = {number: (part, CONTENT[(number - 1) * PART : number * PART]) for number, part in parts.items()}
    store.uploads["old"] = MemoryUpload(AT, one.new.options, ChecksumKind.CRC64NVME, 0.0, held)
    return store, replace(one, resumed=ResumedUpload("old", parts))


# ── what is read ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("readers", [1, 2, 4, 50])
async def test_a_pinned_source_is_copied_whole_by_any_number_of_readers(readers: int) -> None:
    source, store, ledger = pinned(), ScriptedStore(), Written()
    copied = await copy(
        replace(transfer_spec(parts_of(PART)), readers=readers), source, OBSERVED, context(store, ledger)
    )
    assert store.objects == {AT.key: CONTENT}
    assert (copied.size, copied.parts) == (len(CONTENT), 11)
    assert copied.checksum == checksums.compute(ChecksumKind.CRC64NVME, memoryview(CONTENT))
    assert source.log.confirmed == 1
    assert source.log.open_now == 0
    assert source.log.most_open <= readers
    assert (source.log.most_open > 1) is (readers > 1)
    assert sum(end - start for start, end in source.log.opened) == len(CONTENT)


@pytest.mark.parametrize("kept", [(), (1,), (11,), (2, 3, 7), tuple(range(1, 11)), tuple(range(1, 12))])
@pytest.mark.parametrize("readers", [1, 4])
async def test_only_missing_parts_are_read_and_sent(kept: tuple[int, ...], readers: int) -> None:
    store, one = with_kept(*kept)
    source, ledger, seen = pinned(), Written(), []
    carried = context(store, ledger)
    copied = await copy(replace(one, readers=readers), source, OBSERVED, carried, lambda *at: seen.append(at))
    assert store.objects == {AT.key: CONTENT}
    assert copied.checksum == checksums.compute(ChecksumKind.CRC64NVME, memoryview(CONTENT))
    assert (copied.size, copied.parts) == (len(CONTENT), 11)
    sent = {int(line.split()[1]) for line in store.log if line.endswith(" ok")}
    assert sent == set(range(1, 12)) - set(kept)
    fetched = sum(end - start for start, end in source.log.opened)
    assert fetched == len(CONTENT) - sum(part.size for part in numbered(*kept).values())
    assert "create" not in store.log
    assert "opened old" not in ledger.lines
    assert all(at[0] >= one.resumed.size for at in seen)  # type: ignore[union-attr]
    assert seen == [] or seen[-1] == (len(CONTENT), len(CONTENT))
    assert carried.budget.in_use == 0


async def test_a_declared_digest_needs_one_stream_from_the_first_byte() -> None:
    declared = replace(transfer_spec(parts_of(PART), sha256="0" * 64), readers=4)
    source = pinned()
    with pytest.raises(ChecksumMismatch):
        await copy(declared, source, OBSERVED, context(ScriptedStore(), Written()))
    assert source.log.opened == [(0, len(CONTENT))]


# ── what is recorded ──────────────────────────────────────────────────────────────────────────
async def test_each_step_is_recorded_before_the_next_request() -> None:
    store, ledger = ScriptedStore(), Written()
    store.log.append = lambda line: (ledger.lines.append(f"store: {line}"), None)[1]  # type: ignore[method-assign]
    await copy(transfer_spec(parts_of(PART, concurrency=1)), pinned(), OBSERVED, context(store, ledger))
    lines = ledger.lines
    assert lines[:3] == ["store: create", "store: created", "opened upload-1"]
    assert lines[3:6] == ["store: part 1", "store: part 1 ok", "part 1"]
    assert lines[6] == "store: part 2", "the slot of a part is free when the journal has the part"
    assert lines[-2:] == ["completing", "store: complete"]
    assert ledger.parts == numbered(*range(1, 12))
    assert ledger.whole == checksums.compute(ChecksumKind.CRC64NVME, memoryview(CONTENT))


async def test_a_part_keeps_its_slot_until_it_is_recorded() -> None:
    store, ledger = ScriptedStore(), Written(slow=asyncio.Event())
    task = asyncio.create_task(copy(transfer_spec(parts_of(PART, 2)), pinned(), OBSERVED, context(store, ledger)))
    await store.log.reached("part 2 ok")
    for _ in range(50):
        await asyncio.sleep(0)
    assert "part 3" not in store.log
    assert ledger.slow is not None
    ledger.slow.set()
    await task
    assert store.objects == {AT.key: CONTENT}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("how", ["part fails", "source fails", "cancelled", "ledger fails"])
async def test_parts_stay_only_if_the_ledger_keeps_them(how: str, keep: bool) -> None:
    async def refuse(number: int) -> None:
        if how == "part fails" and number == 5:
            raise StoreDenied("403")

    async def read(at: int) -> None:
        if at >= 6 * PART and how == "source fails":
            raise SourceChanged("another")
        if at >= 6 * PART and how == "cancelled":
            await asyncio.Event().wait()

    store, undone = ScriptedStore(on={"part": refuse}), []
    ledger = Written(keep=keep, fails=StoreUnavailable("disk") if how == "ledger fails" else None)
    carried = context(store, ledger, aborted=undone.append)
    task = asyncio.create_task(copy(transfer_spec(parts_of(PART)), pinned(on_read=read), OBSERVED, carried))
    if how == "cancelled":
        await store.log.reached("part 6 ok")
        task.cancel()
    await asyncio.wait([task])
    assert (list(store.uploads), undone) == ((["upload-1"], []) if keep else ([], ["upload-1"]))
    assert store.in_flight == 0
    assert store.objects == {}
    assert carried.budget.in_use == 0
    assert set(ledger.parts) <= set(store.uploads["upload-1"].parts if keep else ledger.parts)


# ── streams that break ────────────────────────────────────────────────────────────────────────────
def breaking(*offsets: int) -> Callable[[int], Awaitable[None]]:
    """The source breaks once at each of these offsets."""
    left = sorted(offsets)

    async def read(at: int) -> None:
        if left and at >= left[0]:
            left.pop(0)
            raise SourceUnavailable("reset")

    return read


async def through(source: MemorySource, run: PartRange, waits: Waits, tries: int = 3, size: int = 7_777) -> bytes:
    retry = RetryPolicy(sleep=waits, chance=lambda: 0.5, rule=Backoff(base=1, tries=tries))
    content, view = bytearray(), memoryview(bytearray(size))
    async with ResumingStream(source, source.observed, run, retry) as stream:
        while count := await stream.readinto(view):
            content += view[:count]
    return bytes(content)


async def test_a_stream_resumes_where_it_broke() -> None:
    source, waits = pinned(on_read=breaking(1000, 500_000)), Waits()
    assert await through(source, PartRange(100, 900_000), waits) == CONTENT[100:900_000]
    assert [end for _, end in source.log.opened] == [900_000] * 3
    starts = [start for start, _ in source.log.opened]
    assert starts[0] == 100
    assert 1000 <= starts[1] < 500_000 <= starts[2]
    assert waits == [0.5, 1.0]
    assert source.log.open_now == 0


async def test_a_stream_that_breaks_too_often_fails() -> None:
    source, waits = pinned(on_read=breaking(10, 11, 12)), Waits()
    with pytest.raises(SourceUnavailable, match="reset"):
        await through(source, PartRange(0, 900_000), waits)
    assert len(source.log.opened) == 3
    assert len(waits) == 2
    assert source.log.open_now == 0


async def test_breaks_far_apart_do_not_add_up() -> None:
    content = bytes(5 * BREAKS_RESET_AFTER)
    source = pinned(content, step=MiB, on_read=breaking(*(n * BREAKS_RESET_AFTER for n in range(1, 5))))
    assert len(await through(source, PartRange(0, len(content)), Waits(), tries=2, size=MiB)) == len(content)


async def test_a_source_that_cannot_be_opened_at_first_is_retried() -> None:
    left = [2]

    async def closed(_start: int, _end: int) -> None:
        if left[0]:
            left[0] -= 1
            raise SourceUnavailable("503", retry_after=7)

    waits = Waits()
    assert await through(pinned(on_open=closed), PartRange(0, 1000), waits) == CONTENT[:1000]
    assert waits == [7.5, 8.0]


async def test_a_changed_source_is_not_resumed() -> None:
    async def changed(start: int, _end: int) -> None:
        if start:
            raise SourceChanged("another revision")

    source = pinned(on_read=breaking(1000), on_open=changed)
    with pytest.raises(SourceChanged):
        await through(source, PartRange(0, 900_000), Waits())


async def test_reopening_a_stream_with_a_buffer_in_use_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "REOPEN_DEADLINE", 0.01)

    async def never(start: int, _end: int) -> None:
        if start:
            await asyncio.Event().wait()

    with pytest.raises(SourceUnavailable, match="no new connection"):
        await through(pinned(on_read=breaking(1000), on_open=never), PartRange(0, 900_000), Waits())


async def test_a_reader_that_fails_stops_the_others() -> None:
    async def read(at: int) -> None:
        if at >= 9 * PART:
            raise SourceChanged("another")
        if at > 2 * PART:  # the second reader reaches its end there, and continues with the tenth part
            await asyncio.Event().wait()

    source, store = pinned(on_read=read), ScriptedStore()
    with pytest.raises(SourceChanged):
        await copy(replace(transfer_spec(parts_of(PART)), readers=8), source, OBSERVED, context(store, Written()))
    assert source.log.open_now == 0
    assert store.uploads == {}
