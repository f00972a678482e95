"""The pool of part buffers: all transfers together use at most `limit` bytes.

Owns the memory of all bodies and the order of allocation. Requests are served first in, first out, so that small
requests do not starve a large one. A buffer is an anonymous memory map: the system gets the memory of a dropped buffer
back at once, while the heap would keep it. A released buffer is idle and is reused for a request of the same capacity.
Idle buffers are dropped when another capacity needs the memory. `planning.transfers.parts` computes part sizes.

Each buffer has one owner, which ends it exactly once. After success the owner calls `release`, and the memory may be
reused. After an error or a cancellation it calls `discard`, and the memory is never reused, because a thread or a
connection may still use a view of it.

Memory formula: in use + idle <= limit. A transfer uses at most (concurrency + readers) buffers of its part size.
"""

import asyncio
import mmap
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from mirrord.errors import MemoryLimitTooSmall
from mirrord.transfer.bandwidth import Bandwidth
from mirrord.units import KiB, MiB, format_size

_SMALLEST = 64 * KiB


class Buffer:
    """Memory of one owner. `view` has exactly the requested size and is valid until `release` or `discard`.

    As a context manager it is released at the end of the block, or discarded if the block raises.
    """

    def __init__(self, budget: "Budget", memory: mmap.mmap, size: int) -> None:
        self._budget = budget
        self._memory: mmap.mmap | None = memory
        self.view = memoryview(memory)[:size]

    def release(self) -> None:
        """Return the memory to the pool for reuse. Nothing may use the view afterwards. A second end has no effect."""
        self._end(reusable=True)

    def discard(self) -> None:
        """Drop the memory. The system gets it back when the last view is gone. A second end has no effect."""
        self._end(reusable=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(reusable=kind is None)

    def _end(self, *, reusable: bool) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            with suppress(BufferError):  # after a cancellation a thread may still use the view
                self.view.release()
            self._budget._return(memory, reusable=reusable)


class Budget:
    """`limit` is in bytes and must be at least the size of the largest buffer. Belongs to one event loop."""

    def __init__(self, limit: int, bandwidth: Bandwidth | None = None) -> None:
        self.limit = limit
        self.bandwidth = bandwidth or Bandwidth()
        """The limit on the bytes that are read into its buffers; default: none."""
        self._in_use = 0
        self._mapped = 0
        self._idle: dict[int, list[mmap.mmap]] = {}
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()

    @property
    def in_use(self) -> int:
        """Bytes of buffers that have an owner now."""
        return self._in_use

    @property
    def mapped(self) -> int:
        """Bytes of all memory maps, in use or idle; never more than `limit`."""
        return self._mapped

    @asynccontextmanager
    async def buffer(self, size: int) -> AsyncIterator[memoryview]:
        """`async with budget.buffer(size) as view`: `size` writable bytes of undefined content."""
        with await self.acquire(size) as buffer:
            yield buffer.view

    async def acquire(self, size: int) -> Buffer:
        """Wait for a buffer of `size` bytes. The caller becomes its owner and must call `release` or `discard`.

        Raises MemoryLimitTooSmall at once if `size` is over the limit; such a request could never be served.
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
        """Raise `limit` until `count` buffers of `size` bytes fit. Only for a pool with a single user."""
        self.limit = max(self.limit, _capacity(size) * count)

    def clear(self) -> None:
        """Drop every idle buffer."""
        self._drop_idle(self.limit)

    async def _reserve(self, capacity: int) -> None:
        if not self._waiting and self._in_use + capacity <= self.limit:
            self._in_use += capacity
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting[granted] = capacity
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._waiting.pop(granted, None)
                self._grant()
            else:  # granted before the cancellation was delivered
                self._unreserve(capacity)
            raise

    def _unreserve(self, capacity: int) -> None:
        self._in_use -= capacity
        self._grant()

    def _grant(self) -> None:
        """Grant the oldest requests that fit now. The first one that does not fit blocks all later ones."""
        while self._waiting:
            granted, capacity = next(iter(self._waiting.items()))
            if not granted.cancelled():
                if self._in_use + capacity > self.limit:
                    return
                self._in_use += capacity
                granted.set_result(None)
            del self._waiting[granted]

    def _memory(self, capacity: int) -> mmap.mmap:
        """An anonymous private memory map for bytes that are already counted as in use."""
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
    """`size` rounded up to one of few capacities, so that buffers can be reused.

    Powers of two from 64 KiB to 1 MiB, then whole MiB.
    """
    if size > MiB:
        return -(-size // MiB) * MiB
    return max(_SMALLEST, 1 << max(0, size - 1).bit_length())
