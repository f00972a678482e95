"""Items whose checks are not due soon: what the queue need not hold yet.

Owns the time of each, 24 bytes an item; in the queue it is 250. `scheduling.scheduler` moves them to the queue.
"""

from array import array
from heapq import heappop, heappush
from math import inf

from mirrord.model import IdTable

SPAN = 60.0
"""Seconds that one group of items covers."""
_SORTED = 50_000
"""A larger group is not sorted, which would block the loop: its items are due within `SPAN` seconds in any case."""


class Later:
    """Times by a monotonic clock. An item has at most one."""

    def __init__(self) -> None:
        self._due = IdTable("d")
        self._groups: dict[int, array[int]] = {}  # ids as numbers; one counts if the item's time is in the group
        self._order: list[int] = []  # a heap
        self._taken: list[str] = []  # the rest of a group that is being taken, the first at the end

    def __len__(self) -> int:
        return len(self._due)

    def put(self, item_id: str, due: float) -> None:
        """The item is due then, or at its earlier time."""
        known = self._due.get(item_id)
        if known is not None and known[0] <= due:
            return
        self._due.put(item_id, due)
        group = int(due // SPAN)
        if group not in self._groups:
            self._groups[group] = array("Q")
            heappush(self._order, group)
        self._groups[group].append(int(item_id, 16))

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
                self._open(heappop(self._order))
            while self._taken:
                item_id = self._taken.pop()
                due = self._due.get(item_id)
                if due is not None and due[0] <= until + SPAN:
                    self._due.discard(item_id)
                    return item_id, due[0]
        return None

    def overdue(self, now: float) -> int:
        """About how many items are due."""
        late = sum(len(ids) for group, ids in self._groups.items() if (group + 1) * SPAN <= now)
        return late + len(self._taken)

    def _open(self, group: int) -> None:
        valid = [
            item_id for item_id in map("{:016x}".format, self._groups.pop(group)) if self._group_of(item_id) == group
        ]
        if len(valid) <= _SORTED:
            valid.sort(key=self._time_of, reverse=True)
        self._taken = valid

    def _group_of(self, item_id: str) -> int | None:
        due = self._due.get(item_id)
        return None if due is None else int(due[0] // SPAN)

    def _time_of(self, item_id: str) -> float:
        due = self._due.get(item_id)
        return inf if due is None else float(due[0])
