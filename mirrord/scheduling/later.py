"""Items whose checks are not due soon: what the queue need not hold yet.

Owns the time of each, 32 bytes an item; in the queue it is 250. `scheduling.scheduler` moves them to the queue.
"""

from array import array
from heapq import heappop, heappush
from math import inf

from mirrord.model import IdTable

SPAN = 60.0
"""Seconds that one group of items covers."""
_SORTED = 10_000
"""Items of a group that are sorted at a time, within 6 ms of the loop. Of a larger group those that were put later
come after them, up to `SPAN` seconds late."""


class Later:
    """Times by a monotonic clock. An item has at most one."""

    def __init__(self) -> None:
        self._due = IdTable("d")
        self._groups: dict[int, tuple[array[int], array[float]]] = {}  # ids as numbers, and times as they were put
        self._order: list[int] = []  # a heap
        self._taken: list[tuple[float, int]] = []  # of a group that is being taken, the first at the end

    def __len__(self) -> int:
        return len(self._due)

    def put(self, item_id: str, due: float) -> None:
        """The item is due then, or at its earlier time."""
        if not self._due.lower(item_id, due):
            return
        group = int(due // SPAN)
        if group not in self._groups:
            self._groups[group] = array("Q"), array("d")
            heappush(self._order, group)
        ids, times = self._groups[group]
        ids.append(int(item_id, 16))
        times.append(due)

    def discard(self, item_id: str) -> None:
        """Forget the item's time."""
        self._due.discard(item_id)

    def next_due(self) -> float:
        """The start of the first group, before which nothing is due; infinite if there is none."""
        if self._taken:
            return -inf
        return self._order[0] * SPAN if self._order else inf

    def take(self, until: float) -> tuple[str, float] | None:
        """Take the next item of the groups that begin before `until`, with its time; None: there is none."""
        while self.next_due() <= until:
            if not self._taken:
                self._sort_some()
            while self._taken:
                item_id = f"{self._taken.pop()[1]:016x}"
                due = self._due.get(item_id)
                if due is not None and due[0] <= until + SPAN:  # else it has another time meanwhile, or none
                    self._due.discard(item_id)
                    return item_id, due[0]
        return None

    def overdue(self, now: float) -> int:
        """About how many items are due."""
        late = sum(len(ids) for group, (ids, _) in self._groups.items() if (group + 1) * SPAN <= now)
        return late + len(self._taken)

    def _sort_some(self) -> None:
        """Take the first items of the first group, all of them if they are few enough."""
        ids, times = self._groups[self._order[0]]
        self._taken = sorted(zip(times[:_SORTED], ids[:_SORTED], strict=True), reverse=True)
        del ids[:_SORTED], times[:_SORTED]
        if not ids:
            del self._groups[heappop(self._order)]
