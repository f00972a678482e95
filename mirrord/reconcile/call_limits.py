"""How many calls run at once at each store and host, and how many may.

Owns the running calls of each, and who waits: calls first come, first served; items of a store or host at which enough
calls wait are not begun, so they hold no slot. Where nothing was refused, nothing is limited, and a call is counted
only. `planning.timing.concurrency` decides. A store counts each call until its answer (of a body that is read: until
its head); a host of sources counts each request until its body has ended, as it counts connections. Listings, and lists
by URL, are not counted: they are few, and do not wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from logging import getLogger
from weakref import WeakValueDictionary

from mirrord.model import host_of
from mirrord.planning.timing.concurrency import ConcurrencyLimit, answered, begun, refused

_log = getLogger(__name__)

MOST_EXCUSED = 5
"""Refusals of one item in a row that count as no attempt. Then it fails as any item, and a program ends."""
_MOST_ITEMS = 10_000
"""Items of one store or host that are told when it has room. More ask again after a time."""

Freed = Callable[[Collection[str]], None]
"""Called with the ids of items that may go on."""


def _ignore(_item_ids: Collection[str]) -> None:
    """For programs in which no item waits."""


class CallLimit:
    """`ports.CallPermits` of one store or host. Belongs to one event loop."""

    def __init__(self, name: str, owner: "CallLimits") -> None:
        self.name = name
        self._owner = owner
        self.running = 0
        """Calls that have a permit."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._items: dict[str, None] = {}  # that were not begun
        self.limit: ConcurrencyLimit | None = None
        """None: any number of calls."""

    async def take(self) -> int:
        """See `ports.CallPermits`."""
        if self.limit is None:
            self.running += 1
            return 0
        if self.running >= self.limit.limit or self._waiting:
            await self._turn()
        else:
            self.running += 1
        return self._begun()

    def _begun(self) -> int:
        if self.limit is None:  # it ended meanwhile
            return 0
        self.limit = begun(self.limit, self.running)
        return self.limit.generation

    def give(self) -> None:
        """See `ports.CallPermits`."""
        self.running -= 1
        if self._waiting or self._items:
            self._go_on()

    def refused(self, generation: int) -> None:
        """See `ports.CallPermits`."""
        before = self.limit
        self.limit = refused(before, self.running, generation, self._owner.monotonic())
        if self.limit is None:
            return
        self._owner.limited[self.name] = self
        if before is None:
            _log.warning(
                "%s refuses calls while others run: it gets at most %d at once now", self.name, self.limit.limit
            )
        elif before.limit != self.limit.limit:
            _log.debug("%s gets at most %d calls at once now", self.name, self.limit.limit)

    def answered(self) -> None:
        """See `ports.CallPermits`."""
        if self.limit is None:
            return
        self.limit = answered(self.limit, self._owner.monotonic())
        if self.limit is None:
            self._owner.limited.pop(self.name, None)
            _log.warning("%s gets as many calls at once as before", self.name)

    def admits(self, item_id: str) -> bool:
        """Whether the item may begin; else so many calls wait that it need not, and it is told when there is room."""
        if self.limit is None or len(self._waiting) < self.limit.limit:
            self._items.pop(item_id, None)
            return True
        if len(self._items) < _MOST_ITEMS:
            self._items[item_id] = None
        return False

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it got its permit in the same moment
                self.give()
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    def _go_on(self) -> None:
        """Give what is free to calls that wait; where none does, items may begin."""
        while self._waiting and (self.limit is None or self.running < self.limit.limit):
            waiter = self._waiting.popleft()
            if not waiter.cancelled():
                self.running += 1
                waiter.set_result(None)
        if self._items and not self._waiting:
            room = len(self._items) if self.limit is None else max(1, self.limit.limit - self.running)
            freed = list(islice(self._items, room))
            for item_id in freed:
                del self._items[item_id]
            self._owner.freed(freed)


class CallLimits:
    """Those of a process. `monotonic` as of `ports.Clock`."""

    def __init__(
        self, freed: Freed = _ignore, monotonic: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    ) -> None:
        self.freed = freed
        self.monotonic = monotonic
        self.limited: dict[str, CallLimit] = {}
        """By name, those with a limit now."""
        self._all: WeakValueDictionary[str, CallLimit] = WeakValueDictionary()
        self._excused: dict[str, int] = {}  # refusals in a row, by item id
        self._just: set[str] = set()  # items whose attempt ended with one

    def store(self, name: str) -> CallLimit:
        """Of the store with this name."""
        return self._of(f"store {name!r}")

    def host(self, address: str) -> CallLimit | None:
        """Of the host of this URL; None: it has no host."""
        name = host_of(address)
        return None if name is None else self._of(f"host {name}")

    def _of(self, name: str) -> CallLimit:
        if (known := self._all.get(name)) is None:
            self._all[name] = known = CallLimit(name, self)
        return known

    @property
    def limits(self) -> Mapping[str, int]:
        """Calls at once, by the names of the stores and hosts that have a limit now."""
        return {name: one.limit.limit for name, one in sorted(self.limited.items()) if one.limit is not None}

    # ── items ─────────────────────────────────────────────────────────────────────────────────────
    def admit(self, name: str, item_id: str) -> bool:
        """Whether the item, which needs this store or host, may begin."""
        known = self.limited.get(name)
        return known is None or known.admits(item_id)

    def excuses(self, name: str, item_id: str) -> bool:
        """Whether the refusal that ended the item's attempt counts as none: fewer calls at once help, and it is not the
        item's own fault, as far as its last refusals show."""
        known = self.limited.get(name)
        if known is None or known.limit is None or known.limit.alone:
            return False
        if len(self._excused) >= _MOST_ITEMS:
            self._excused.clear()
        self._excused[item_id] = count = self._excused.get(item_id, 0) + 1
        self._just.add(item_id)
        return count <= MOST_EXCUSED

    def excused(self, item_id: str) -> int:
        """How many refusals in a row the item has."""
        return self._excused.get(item_id, 0)

    def left(self, item_id: str) -> None:
        """The item's attempt has ended, with any result."""
        if item_id in self._just:
            self._just.discard(item_id)
        else:
            self._excused.pop(item_id, None)
