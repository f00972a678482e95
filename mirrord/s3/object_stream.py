"""The body of GetObject as a stream of `ports`.

Owns the checks of the answer and of the body's length, and the time limit of its reads.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from mirrord.errors import PreconditionFailed, StoreRefused, StoreUnavailable
from mirrord.model import Destination
from mirrord.s3.answers import results
from mirrord.s3.bounded_calls import BoundedCalls


class ObjectStream:
    """`ports.ByteStream` over the body of an answer.

    All reads together may take as long as one call that moves the bytes read so far. `length` is the Content-Length;
    without one, the framing of the body shows its end.
    """

    def __init__(self, calls: BoundedCalls, at: Destination, body: Any, length: int | None) -> None:
        self._calls = calls
        self._at = at
        self._body = body
        self._left = length
        self._received = 0
        self._reading = 0.0  # seconds within reads; the time between reads belongs to the caller

    async def readinto(self, view: memoryview) -> int:
        if not len(view) or self._left == 0:
            return 0
        piece = await self._read(len(view))
        view[: len(piece)] = piece
        if self._left is not None:
            if not piece:
                raise StoreUnavailable(f"GetObject {self._at}: the body ended {self._left} bytes too soon")
            self._left -= len(piece)
        return len(piece)

    async def _read(self, size: int) -> bytes:
        began = asyncio.get_running_loop().time()
        with self._calls.call("GetObject", self._at, size=self._received, spent=self._reading):
            piece: bytes = await self._body.read(size)
        self._reading += asyncio.get_running_loop().time() - began
        self._received += len(piece)
        return piece


def check_pinned(at: Destination, answer: Mapping[str, Any], if_match: str, *, ranged: bool) -> None:
    """Some stores ignore If-Match, or a range."""
    if (now := results.token(answer, "ETag")) != if_match:
        raise PreconditionFailed(f"GetObject {at}: its ETag is {now}, not {if_match}", answered=True)
    if ranged and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
        raise StoreRefused(f"GetObject {at}: the store answered the whole object where a range was asked for")
