"""The slots of running transfers, shared between entries, and between large and small objects.

Owns which waiting transfer gets the next free slot. Leaves to `transfer.budget` the memory of a transfer.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from mirrord.transfer.spec import ProgressCallback
from mirrord.units import MiB

LARGE = 64 * MiB
"""From this size on a transfer counts as large: it may hold its slot for hours. One of unknown length counts as small
until it has read so much: most of them are small, and would wait for large ones while slots are free."""
MOST_APART = 256
"""Large transfers that wait without counting as checks. They hold what was observed, and no connection."""


def most_large(slots: int) -> int:
    """Slots that large transfers may have: a quarter, at least one of two or more, stays free for small ones."""
    return slots if slots < 2 else slots - max(1, slots // 4)


class _Waiting:
    """Transfers of one kind that wait: entries take turns, and within an entry the first one is the next."""

    def __init__(self) -> None:
        self._by_entry: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._by_entry.values()))

    def __bool__(self) -> bool:
        return bool(self._by_entry)

    def add(self, entry: str) -> asyncio.Future[None]:
        waiter = asyncio.get_running_loop().create_future()
        self._by_entry.setdefault(entry, deque()).append(waiter)
        return waiter

    def discard(self, entry: str, waiter: asyncio.Future[None]) -> None:
        waiters = self._by_entry.get(entry, deque())
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._by_entry.pop(entry, None)

    def pop(self) -> asyncio.Future[None]:
        """The next one; there must be one."""
        entry, waiters = self._by_entry.popitem(last=False)
        waiter = waiters.popleft()
        if waiters:
            self._by_entry[entry] = waiters  # at the end: the other entries come first
        return waiter


class TakenSlot:
    """The slot of a running transfer. `size` in bytes; None: not known. `grown` is called when it becomes large."""

    def __init__(self, size: int | None, grown: Callable[[], None]) -> None:
        self._known = size is not None
        self._grown = grown
        self.large = _is_large(size)

    def counted(self, progress: ProgressCallback) -> ProgressCallback:
        """`progress`, with which the slot also notes how much was read."""
        if self._known:
            return progress

        def noted(read: int, sent: int) -> None:
            if read >= LARGE and not self.large:
                self.large = True
                self._grown()
            progress(read, sent)

        return noted


class TransferSlots:
    """`async with slots.taken(entry, size)`: `count` at a time, of which `most_large(count)` may be large.

    `apart` is entered while a large transfer waits, see `ports.Queue.apart`: small items are checked meanwhile.
    """

    def __init__(self, count: int, apart: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._free = count
        self._free_large = most_large(count)
        self._apart = apart
        self._small, self._large = _Waiting(), _Waiting()
        self._large_turn = False  # whether a waiting large transfer comes before small ones

    def full(self, size: int | None) -> bool:
        """Whether a transfer of so many bytes (None: not known) would wait now."""
        return not self._free or (_is_large(size) and self._free_large <= 0) or bool(self._small)

    @asynccontextmanager
    async def taken(self, entry: str, size: int | None = 0) -> AsyncIterator[TakenSlot]:
        """With a slot for a transfer of the entry. `size` in bytes, None if it is not known."""
        await self.take(entry, size)
        slot = TakenSlot(size, self._one_grew)
        try:
            yield slot
        finally:
            self.give(LARGE if slot.large else 0)

    async def take(self, entry: str, size: int | None = 0) -> None:
        """Wait for a slot and take it. See `taken`."""
        large = _is_large(size)
        if self._free and not self._small and (self._free_large > 0 or not large):
            return self._count(large, -1)
        waiting = self._large if large else self._small
        waiter = waiting.add(entry)
        try:
            with self._apart() if large and len(waiting) <= MOST_APART else nullcontext():
                await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                waiting.discard(entry, waiter)
            else:  # it got its slot in the same moment
                self.give(size)
            raise

    def give(self, size: int | None = 0) -> None:
        """Free the slot of such a transfer. The next one that waits gets it; where both kinds wait, they take turns."""
        self._count(_is_large(size), 1)
        while self._free and (self._small or (self._large and self._free_large > 0)):
            is_large = bool(self._large) and self._free_large > 0 and (self._large_turn or not self._small)
            self._large_turn = not is_large
            waiter = (self._large if is_large else self._small).pop()
            if not waiter.cancelled():  # a cancelled one is removed when its task runs
                self._count(is_large, -1)
                waiter.set_result(None)

    def _one_grew(self) -> None:
        """A running small transfer is a large one from now on. There may be too many then: the next ones wait."""
        self._free_large -= 1

    def _count(self, large: bool, change: int) -> None:
        self._free += change
        if large:
            self._free_large += change


def _is_large(size: int | None) -> bool:
    return size is not None and size >= LARGE
