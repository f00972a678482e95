"""A buffer as a request body: a file for the signer, slices for the HTTP client, nothing after `close`."""

import hashlib

import pytest

from mirrord.s3.body import SLICE, BufferBody

CONTENT = bytes(range(256)) * (SLICE // 128 + 1)


async def _sent(body: BufferBody) -> list[bytes]:
    return [piece async for piece in body]


async def test_each_iteration_gives_all_bytes_in_small_slices() -> None:
    body = BufferBody(memoryview(CONTENT))
    for _ in range(2):
        pieces = await _sent(body)
        assert b"".join(pieces) == CONTENT
        assert max(map(len, pieces)) == SLICE


def test_a_signer_reads_and_rewinds() -> None:
    body = BufferBody(memoryview(CONTENT))
    assert (len(body), body.tell()) == (len(CONTENT), 0)
    hashed = hashlib.sha256()
    while piece := body.read(1 << 20):
        hashed.update(piece)
    assert hashed.digest() == hashlib.sha256(CONTENT).digest()
    assert body.tell() == body.seek(0, 2) == len(CONTENT)
    assert body.seek(0) == 0
    assert body.read() == CONTENT


async def test_a_slice_does_not_change_when_the_buffer_is_filled_again() -> None:
    buffer = bytearray(b"the first part")
    pieces = await _sent(BufferBody(memoryview(buffer)))
    buffer[:] = b"another part!!"
    assert b"".join(pieces) == b"the first part"


async def test_nothing_is_sent_after_close() -> None:
    body = BufferBody(memoryview(CONTENT))
    slices = aiter(body)
    await anext(slices)
    body.close()
    with pytest.raises(ConnectionAbortedError):
        await anext(slices)
