"""Any sequence of chunks gives parts of one size but the last, in order, with the same bytes."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrord.errors import StoreDenied, StoreUnavailable
from mirrord.model import ChecksumKind, ObjectOptions
from mirrord.transfer.budget import Budget
from mirrord.transfer.chunks import Chunks
from mirrord.transfer.multipart import Multipart
from tests.support.moving import AT, ScriptedStore, pieces

PART = 5 * 1024  # S3's 5 MiB, a thousand times smaller
CONTENT = os.urandom(12 * PART)


async def push(store: ScriptedStore, chunks: list[bytes], budget: Budget, concurrency: int = 2) -> None:
    upload = Multipart(store, AT, ObjectOptions(), ChecksumKind.CRC64NVME, concurrency=concurrency)
    async with upload:
        feeding = Chunks(upload, budget, PART)
        try:
            for chunk in chunks:
                await feeding.take(memoryview(chunk))
            await feeding.end()
            await upload.complete()
        finally:
            feeding.close()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(CONTENT)), st.lists(st.integers(0, 3 * PART), max_size=30), st.integers(1, 4))
async def test_parts_from_any_chunks(length: int, sizes: list[int], concurrency: int) -> None:
    store, budget = ScriptedStore(), Budget(1 << 20)
    await push(store, pieces(CONTENT[:length], sizes), budget, concurrency)
    assert store.objects[AT.key] == CONTENT[:length]
    assert sorted(store.part_sizes, reverse=True) == [PART] * (length // PART) + (
        [length % PART] if length % PART or not length else []
    )
    assert store.most_in_flight <= concurrency
    assert budget.lent == 0


async def test_a_buffer_half_full_is_given_back_when_a_part_fails() -> None:
    async def refuse(*_: object) -> None:
        raise StoreDenied("403")

    store, budget = ScriptedStore(on={"part": refuse}), Budget(1 << 20)
    with pytest.raises(StoreDenied):
        await push(store, [CONTENT[: PART + 7], CONTENT], budget)
    assert store.log[-1] == "aborted"
    assert budget.lent == 0


async def test_after_a_failed_part_no_further_one_is_sent() -> None:
    async def refuse(*_: object) -> None:
        raise StoreDenied("403")

    store, budget = ScriptedStore(on={"part": refuse}), Budget(1 << 20)
    upload = Multipart(store, AT, ObjectOptions(), ChecksumKind.CRC64NVME, concurrency=4)

    async def work() -> None:
        async with upload:
            feeding = Chunks(upload, budget, PART)
            await feeding.take(memoryview(CONTENT)[:PART])
            with pytest.raises(StoreDenied):
                await upload.settled()
            await feeding.take(memoryview(CONTENT)[:PART])

    with pytest.raises(StoreDenied):
        await work()
    assert "part 2" not in store.log
    assert budget.lent == 0


async def test_a_block_left_without_completing_aborts_and_says_if_it_could_not() -> None:
    async def gone(*_: object) -> None:
        raise StoreUnavailable("gone away")

    store = ScriptedStore()
    async with Multipart(store, AT, ObjectOptions(), ChecksumKind.NONE):
        pass
    assert store.log[-1] == "aborted"
    store.on["abort"] = gone
    with pytest.raises(StoreUnavailable, match="gone away"):
        async with Multipart(store, AT, ObjectOptions(), ChecksumKind.NONE):
            pass
