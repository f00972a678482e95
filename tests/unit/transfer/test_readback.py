"""Reading back: what is compared, and which objects differ from what was sent."""

import os

import pytest

from mirrord import checksums
from mirrord.errors import ReadbackMismatch, StoreRefused
from mirrord.model import Checksum, ChecksumKind, Destination, ObjectOptions, Part
from mirrord.testing import MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.transfer.readback import expected_bytes, read_back
from mirrord.units import KiB

AT = Destination("default", "http://store", "bucket", "key")
SIZES = (100 * KiB, 100 * KiB, 7)
CONTENT = os.urandom(sum(SIZES))


def digest(kind: ChecksumKind, content: bytes) -> Checksum:
    found = checksums.compute(kind, memoryview(content))
    assert found is not None
    return found


def in_parts(kind: ChecksumKind = ChecksumKind.MD5) -> list[Part]:
    parts, start = [], 0
    for number, size in enumerate(SIZES, 1):
        piece = CONTENT[start : start + size]
        parts.append(Part(number=number, size=size, etag="", checksum=digest(kind, piece)))
        start += size
    return parts


WAYS = {
    "whole": (digest(ChecksumKind.CRC64NVME, CONTENT), []),
    "md5": (digest(ChecksumKind.MD5, CONTENT), []),
    "parts": (None, in_parts()),
    "parts sha256": (None, in_parts(ChecksumKind.SHA256)),
}


async def stored(content: bytes) -> MemoryStore:
    store = MemoryStore()
    store.buckets["bucket"] = {}
    await store.put_object(AT, memoryview(content), ObjectOptions())
    return store


@pytest.mark.parametrize("way", WAYS)
async def test_the_same_bytes(way: str) -> None:
    budget = Budget(64 * KiB)
    whole = await read_back(await stored(CONTENT), AT, expected_bytes(*WAYS[way], len(CONTENT)), budget)
    assert whole == digest(whole.kind, CONTENT)
    assert budget.in_use == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "not what was sent"),
        (bytes([CONTENT[0] ^ 1]) + CONTENT[1:], "not what was sent"),
        (CONTENT[:-1], "ends 1 bytes too soon"),
        (b"", "too soon"),
        (CONTENT + b"x", "longer than what was sent"),
    ],
)
async def test_other_bytes(way: str, content: bytes, words: str) -> None:
    with pytest.raises(ReadbackMismatch, match=words):
        await read_back(await stored(content), AT, expected_bytes(*WAYS[way], len(CONTENT)), Budget(64 * KiB))


@pytest.mark.parametrize("parts", [[], in_parts()[:2], [*in_parts()[:2], Part(number=3, size=7, etag="")]])
async def test_without_checksums_reading_back_is_refused(parts: list[Part]) -> None:
    with pytest.raises(StoreRefused, match="nothing is known to compare it with"):
        await read_back(await stored(CONTENT), AT, expected_bytes(None, parts, len(CONTENT)), Budget(64 * KiB))


async def test_an_empty_object_is_compared_too() -> None:
    await read_back(await stored(b""), AT, expected_bytes(digest(ChecksumKind.MD5, b""), [], 0), Budget(64 * KiB))
    with pytest.raises(ReadbackMismatch, match="longer"):
        await read_back(await stored(b"x"), AT, expected_bytes(digest(ChecksumKind.MD5, b""), [], 0), Budget(64 * KiB))
