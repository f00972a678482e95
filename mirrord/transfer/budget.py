"""The one pool of part buffers: all transfers together never hold more than `limit` bytes.

Owns the memory that bytes travel in and the order in which transfers get it: first come, first served, so that a
large request is not starved by small ones. Buffers are anonymous maps: one that is let go returns to the system at
once, where the heap would keep it. Buffers of a size are lent again; idle ones make room for others.

Memory formula: lent + idle <= limit. A transfer holds at most (concurrency + 1) buffers of its part size.
"""

import asyncio
import mmap
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mirrord.errors import MemoryLimitTooSmall
from mirrord.units import KiB, MiB, format_size

_SMALLEST = 64 * KiB


class Buffer:
    """Memory lent to one user: `view` is exactly as long as asked for. Give it back once; the view ends with that."""

    def __init__(self, budget: "Budget", block: "_Block", size: int) -> None:
        self._budget = budget
        self._block: _Block | None = block
        self.view = memoryview(block.memory)[:size]

    def give_back(self) -> None:
        """Return the memory; a second call does nothing."""
        block, self._block = self._block, None
        if block is not None:
            with suppress(BufferError):  # a thread still reads or writes it, after a cancellation
                self.view.release()
            self._budget._take_back(block)


class _Block:
    """One anonymous, private map, and whether somebody still looks at it."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.memory = mmap.mmap(-1, capacity, access=mmap.ACCESS_COPY)
        self._unviewed = sys.getrefcount(self.memory)

    @property
    def viewed(self) -> bool:
        """Every view keeps a reference to its memory: a broken connection may still hold one, unsent."""
        return sys.getrefcount(self.memory) > self._unviewed


class Budget:
    """`limit` in bytes, at least that of the largest buffer asked for. Belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lent = 0
        self._held = 0
        self._idle: dict[int, list[_Block]] = {}
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()

    @property
    def lent(self) -> int:
        """Bytes in use now."""
        return self._lent

    @property
    def held(self) -> int:
        """Bytes mapped, in use or kept for the next: never over `limit`."""
        return self._held

    @asynccontextmanager
    async def buffer(self, size: int) -> AsyncIterator[memoryview]:
        """`async with budget.buffer(size) as view`: `size` writable bytes of undefined content."""
        buffer = await self.lend(size)
        try:
            yield buffer.view
        finally:
            buffer.give_back()

    async def lend(self, size: int) -> Buffer:
        """As `buffer`, for a user that outlives this call: whoever holds it must call `give_back`.

        Raises MemoryLimitTooSmall if `size` is over the limit, at once rather than never.
        """
        if size > self.limit:
            raise MemoryLimitTooSmall(
                f"a buffer of {format_size(size)} is over memory_limit ({format_size(self.limit)}): raise memory_limit"
            )
        capacity = min(_capacity(size), self.limit)
        await self._reserve(capacity)
        try:
            return Buffer(self, self._block(capacity), size)
        except BaseException:
            self._unreserve(capacity)
            raise

    def make_room_for(self, size: int, count: int) -> None:
        """For a pool of one user: at least `count` buffers of `size` bytes shall fit."""
        self.limit = max(self.limit, _capacity(size) * count)

    def clear(self) -> None:
        """Let go of every idle buffer."""
        self._make_room(self.limit)

    async def _reserve(self, capacity: int) -> None:
        if not self._waiting and self._lent + capacity <= self.limit:
            self._lent += capacity
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = capacity
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.pop(turn, None)
                self._admit()
            else:  # granted in the moment of the cancellation
                self._unreserve(capacity)
            raise

    def _unreserve(self, capacity: int) -> None:
        self._lent -= capacity
        self._admit()

    def _admit(self) -> None:
        """Grant the longest waiting requests that fit now; the first that does not fit holds up those behind it."""
        while self._waiting:
            turn, capacity = next(iter(self._waiting.items()))
            if not turn.cancelled():
                if self._lent + capacity > self.limit:
                    return
                self._lent += capacity
                turn.set_result(None)
            del self._waiting[turn]

    def _block(self, capacity: int) -> _Block:
        """A block for bytes already counted as lent."""
        if idle := self._idle.get(capacity):
            return idle.pop()
        self._make_room(capacity)
        block = _Block(capacity)
        self._held += capacity
        return block

    def _make_room(self, capacity: int) -> None:
        """Let idle blocks go until `capacity` more bytes fit."""
        for blocks in self._idle.values():
            while blocks and self._held + capacity > self.limit:
                self._held -= blocks.pop().capacity

    def _take_back(self, block: _Block) -> None:
        if block.viewed:  # not lent again: it goes when the last view of it does
            self._held -= block.capacity
        else:
            self._idle.setdefault(block.capacity, []).append(block)
        self._unreserve(block.capacity)


def _capacity(size: int) -> int:
    """Few sizes, so that buffers are lent again: powers of two from 64 KiB to 1 MiB, then whole MiB."""
    if size > MiB:
        return -(-size // MiB) * MiB
    return max(_SMALLEST, 1 << max(0, size - 1).bit_length())
