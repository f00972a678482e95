"""Any sequence of chunks gives parts of one size but the last, in order, with the same bytes."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrord.errors import StoreDenied, StoreUnavailable
from mirrord.model import ChecksumKind, PartSizes
from mirrord.transfer.budget import Budget
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.part_builder import PartBuilder
from mirrord.transfer.spec import TransferContext
from mirrord.units import MiB
from tests.support.moving import AT, ScriptedStore, new_object, pieces

PART = 5 * 1024  # S3's 5 MiB, a thousand times smaller
CONTENT = os.urandom(12 * PART)


def upload_to(store: ScriptedStore, kind: ChecksumKind, concurrency: int = 4) -> MultipartUpload:
    context = TransferContext(store=store, budget=Budget(MiB))
    return MultipartUpload(context, new_object(kind), concurrency=concurrency)


async def push(store: ScriptedStore, chunks: list[bytes], budget: Budget, concurrency: int = 2) -> None:
    upload = upload_to(store, ChecksumKind.CRC64NVME, concurrency=concurrency)
    async with upload:
        feeding = PartBuilder(upload, budget, PartSizes.equal(PART))
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
    assert budget.in_use == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(CONTENT)), st.lists(st.integers(0, 3 * PART), max_size=30), st.integers(1, 4))
async def test_large_chunks_are_parts_and_small_ones_are_combined(
    length: int, sizes: list[int], concurrency: int
) -> None:
    store, budget, chunks = ScriptedStore(), Budget(PART), pieces(CONTENT[:length], sizes)
    upload = upload_to(store, ChecksumKind.CRC64NVME, concurrency=concurrency)
    async with upload:
        feeding = PartBuilder(upload, budget, PartSizes.equal(PART), whole_chunks=2 * PART)
        for chunk in chunks:
            await feeding.take(memoryview(chunk))
        await feeding.end()
        await upload.complete()
    assert store.objects[AT.key] == CONTENT[:length]
    made = [upload.parts[number].size for number in sorted(upload.parts)]
    assert all(PART <= size <= 2 * PART for size in made[:-1])
    assert made[-1] <= 2 * PART
    assert len(made) <= max(1, sum(len(chunk) // PART + 1 for chunk in chunks))
    assert budget.in_use == 0


@pytest.mark.parametrize(
    ("chunks", "parts"),
    [
        ([2 * PART, PART, 1], [2 * PART, PART, 1]),
        ([1, PART], [PART + 1]),
        ([PART - 1, PART - 1], [PART, PART - 2]),
        ([7 * PART], [3 * PART, 3 * PART, PART]),
        ([3 * PART + 1, PART], [3 * PART, PART + 1]),
        ([], [0]),
    ],
)
async def test_where_parts_end(chunks: list[int], parts: list[int]) -> None:
    store = ScriptedStore()
    async with upload_to(store, ChecksumKind.CRC64NVME, concurrency=1) as upload:
        feeding = PartBuilder(upload, Budget(PART), PartSizes.equal(PART), whole_chunks=3 * PART)
        for size in chunks:
            await feeding.take(memoryview(CONTENT)[:size])
        await feeding.end()
        await upload.complete()
    assert [upload.parts[number].size for number in sorted(upload.parts)] == parts


async def test_parts_of_small_chunks_grow_with_their_number() -> None:
    store = ScriptedStore()
    async with upload_to(store, ChecksumKind.NONE, concurrency=1) as upload:
        feeding = PartBuilder(upload, Budget(PART), PartSizes(PART, 4 * PART, 2), whole_chunks=MiB)
        for _ in range(14):
            await feeding.take(memoryview(CONTENT)[: PART - 1])
        await feeding.end()
        await upload.complete()
    made = [upload.parts[number].size for number in sorted(upload.parts)]
    assert made[:-1] == [PART, PART, 2 * PART, 2 * PART, 4 * PART]


async def test_a_partly_filled_buffer_is_released_when_a_part_fails() -> None:
    async def refuse(*_: object) -> None:
        raise StoreDenied("403")

    store, budget = ScriptedStore(on={"part": refuse}), Budget(1 << 20)
    with pytest.raises(StoreDenied):
        await push(store, [CONTENT[: PART + 7], CONTENT], budget)
    assert store.log[-1] == "aborted"
    assert budget.in_use == 0


async def test_after_a_failed_part_no_further_one_is_sent() -> None:
    async def refuse(*_: object) -> None:
        raise StoreDenied("403")

    store, budget = ScriptedStore(on={"part": refuse}), Budget(1 << 20)
    upload = upload_to(store, ChecksumKind.CRC64NVME, concurrency=4)

    async def work() -> None:
        async with upload:
            feeding = PartBuilder(upload, budget, PartSizes.equal(PART))
            await feeding.take(memoryview(CONTENT)[:PART])
            with pytest.raises(StoreDenied):
                await upload.wait_for_parts()
            await feeding.take(memoryview(CONTENT)[:PART])

    with pytest.raises(StoreDenied):
        await work()
    assert "part 2" not in store.log
    assert budget.in_use == 0


async def test_leaving_the_block_without_completing_aborts_and_raises_if_that_fails() -> None:
    async def gone(*_: object) -> None:
        raise StoreUnavailable("gone away")

    store = ScriptedStore()
    async with upload_to(store, ChecksumKind.NONE):
        pass
    assert store.log[-1] == "aborted"
    store.on["abort"] = gone
    with pytest.raises(StoreUnavailable, match="gone away"):
        async with upload_to(store, ChecksumKind.NONE):
            pass
