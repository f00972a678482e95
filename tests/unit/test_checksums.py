"""Checksums against published check values and against each other."""

import asyncio
import base64
import hashlib
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord import checksums
from mirrord.model import Checksum, ChecksumKind

CRCS = [ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32]
KINDS = [*CRCS, ChecksumKind.SHA256, ChecksumKind.MD5]


@pytest.mark.parametrize(
    ("kind", "hexadecimal"),
    [  # check values of the CRC catalogue for "123456789"
        (ChecksumKind.CRC64NVME, "ae8b14860a799888"),
        (ChecksumKind.CRC32C, "e3069283"),
        (ChecksumKind.CRC32, "cbf43926"),
        (ChecksumKind.SHA256, hashlib.sha256(b"123456789").hexdigest()),
        (ChecksumKind.MD5, hashlib.md5(b"123456789").hexdigest()),
    ],
)
def test_check_values(kind: ChecksumKind, hexadecimal: str) -> None:
    checksum = checksums.compute(kind, memoryview(b"123456789"))
    assert checksum == Checksum(kind, base64.b64encode(bytes.fromhex(hexadecimal)).decode())
    assert checksums.hexadecimal(checksum) == hexadecimal


def test_the_kind_none_has_no_checksum() -> None:
    assert checksums.compute(ChecksumKind.NONE, memoryview(b"abc")) is None
    assert not checksums.combines(ChecksumKind.NONE)


@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from(CRCS))
def test_combined_pieces_equal_the_whole(pieces: list[bytes], kind: ChecksumKind) -> None:
    parts = [(checksums.compute(kind, memoryview(piece)), len(piece)) for piece in pieces]
    assert checksums.combine(kind, parts) == checksums.compute(kind, memoryview(b"".join(pieces)))


@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from(KINDS))
def test_an_incremental_checksum_equals_that_of_the_whole(pieces: list[bytes], kind: ChecksumKind) -> None:
    running = checksums.RunningChecksum(kind)
    for piece in pieces:
        running.update(memoryview(piece))
    assert running.checksum() == checksums.compute(kind, memoryview(b"".join(pieces)))
    assert running.length == sum(map(len, pieces))


def test_kinds_that_cannot_be_combined_are_refused() -> None:
    with pytest.raises(ValueError, match="do not combine"):
        checksums.combine(ChecksumKind.SHA256, [])
    stray = checksums.compute(ChecksumKind.CRC32, memoryview(b"a"))
    assert stray is not None
    with pytest.raises(ValueError, match="crc32 checksum among crc32c"):
        checksums.combine(ChecksumKind.CRC32C, [(stray, 1)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
async def test_digest_equals_compute_wherever_it_runs(kind: ChecksumKind, size: int) -> None:
    view = memoryview(zlib.compress(b"x", 0) * (size // 8 + 1))[:size]
    assert await checksums.digest(kind, view) == checksums.compute(kind, view)


async def test_only_large_buffers_leave_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    real = checksums.compute
    monkeypatch.setattr(checksums, "compute", lambda *seen: threads.append(threading.current_thread()) or real(*seen))
    await asyncio.gather(
        *(checksums.digest(ChecksumKind.MD5, memoryview(bytes(size))) for size in (1000, 64 * 1024, 65 * 1024))
    )
    assert [thread is threading.main_thread() for thread in threads] == [True, True, False]
