"""The one pool of part buffers: all transfers together never hold more than `limit` bytes.

Owns the memory that bytes travel in and the order in which transfers get it: first come, first served, so that a
large request is not starved by small ones. Buffers are anonymous maps: one that is dropped returns to the system at
once, where the heap would keep it. Buffers of a size are lent again; idle ones make room for others.

A buffer has one owner, who ends it once. After success: `release`, and its memory may be lent again. After an error or
a cancellation: `discard`, and its memory is never lent again, for a thread or a connection may still use a view of it.

Memory formula: lent + idle <= limit. A transfer holds at most (concurrency + 1) buffers of its part size.
"""

import asyncio
import mmap
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from mirrord.errors import MemoryLimitTooSmall
from mirrord.units import KiB, MiB, format_size

_SMALLEST = 64 * KiB


class Buffer:
    """Memory lent to one owner: `view` is exactly as long as asked for, and ends with `release` or `discard`.

    As a context manager it is released at the end of the block, or discarded if the block raises.
    """

    def __init__(self, budget: "Budget", memory: mmap.mmap, size: int) -> None:
        self._budget = budget
        self._memory: mmap.mmap | None = memory
        self.view = memoryview(memory)[:size]

    def release(self) -> None:
        """Return the memory to the pool. Nobody else may use the view any more. After the first end it does nothing."""
        self._end(reusable=True)

    def discard(self) -> None:
        """Drop the memory: the system gets it back with the last view. After the first end it does nothing."""
        self._end(reusable=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(reusable=kind is None)

    def _end(self, *, reusable: bool) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            with suppress(BufferError):  # a thread uses it in this moment, after a cancellation
                self.view.release()
            self._budget._return(memory, reusable=reusable)


class Budget:
    """`limit` in bytes, at least that of the largest buffer asked for. Belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._in_use = 0
        self._mapped = 0
        self._idle: dict[int, list[mmap.mmap]] = {}
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()

    @property
    def in_use(self) -> int:
        """Bytes in use now."""
        return self._in_use

    @property
    def mapped(self) -> int:
        """Bytes mapped, in use or kept for the next: never over `limit`."""
        return self._mapped

    @asynccontextmanager
    async def buffer(self, size: int) -> AsyncIterator[memoryview]:
        """`async with budget.buffer(size) as view`: `size` writable bytes of undefined content."""
        with await self.acquire(size) as buffer:
            yield buffer.view

    async def acquire(self, size: int) -> Buffer:
        """As `buffer`, for an owner that outlives this call and must call `release` or `discard`.

        Raises MemoryLimitTooSmall if `size` is over the limit, at once rather than never.
        """
        if size > self.limit:
            raise MemoryLimitTooSmall(
                f"a buffer of {format_size(size)} is over memory_limit ({format_size(self.limit)}): raise memory_limit"
            )
        capacity = min(_capacity(size), self.limit)
        await self._reserve(capacity)
        try:
            return Buffer(self, self._memory(capacity), size)
        except BaseException:
            self._unreserve(capacity)
            raise

    def grow_for(self, size: int, count: int) -> None:
        """For a pool of one user: at least `count` buffers of `size` bytes shall fit."""
        self.limit = max(self.limit, _capacity(size) * count)

    def clear(self) -> None:
        """Drop every idle buffer."""
        self._drop_idle(self.limit)

    async def _reserve(self, capacity: int) -> None:
        if not self._waiting and self._in_use + capacity <= self.limit:
            self._in_use += capacity
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = capacity
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.pop(turn, None)
                self._grant()
            else:  # granted in the moment of the cancellation
                self._unreserve(capacity)
            raise

    def _unreserve(self, capacity: int) -> None:
        self._in_use -= capacity
        self._grant()

    def _grant(self) -> None:
        """Grant the longest waiting requests that fit now; the first that does not fit holds up those behind it."""
        while self._waiting:
            turn, capacity = next(iter(self._waiting.items()))
            if not turn.cancelled():
                if self._in_use + capacity > self.limit:
                    return
                self._in_use += capacity
                turn.set_result(None)
            del self._waiting[turn]

    def _memory(self, capacity: int) -> mmap.mmap:
        """Memory for bytes already counted as lent: an anonymous, private map."""
        if idle := self._idle.get(capacity):
            return idle.pop()
        self._drop_idle(capacity)
        memory = mmap.mmap(-1, capacity, access=mmap.ACCESS_COPY)
        self._mapped += capacity
        return memory

    def _drop_idle(self, capacity: int) -> None:
        """Drop idle buffers until `capacity` more bytes fit."""
        for idle in self._idle.values():
            while idle and self._mapped + capacity > self.limit:
                self._mapped -= len(idle.pop())

    def _return(self, memory: mmap.mmap, *, reusable: bool) -> None:
        capacity = len(memory)
        if reusable:
            self._idle.setdefault(capacity, []).append(memory)
        else:
            self._mapped -= capacity
        self._unreserve(capacity)


def _capacity(size: int) -> int:
    """Few sizes, so that buffers are lent again: powers of two from 64 KiB to 1 MiB, then whole MiB."""
    if size > MiB:
        return -(-size // MiB) * MiB
    return max(_SMALLEST, 1 << max(0, size - 1).bit_length())
