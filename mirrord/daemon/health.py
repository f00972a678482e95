"""What the daemon knows of its stores and of how fresh each entry is, learned from events.

Owns one flag a store and one time an item that is scheduled; metrics and the status page read them.
"""

from collections.abc import Mapping

from mirrord.errors import Reason
from mirrord.events import Event, ItemBlocked, ItemRetrying, ItemUnchanged, TransferCompleted, TransferFailed
from mirrord.model import Item
from mirrord.ports import Clock

_STORE_FAULTS = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_DENIED})


class Health:
    """`ports.Observer`. Freshness is kept for the items given to `keep` only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._up: dict[str, bool] = {}
        self._entry: dict[str, str] = {}
        self._fresh: dict[str, float] = {}  # item id -> when it was last seen equal

    def __call__(self, event: Event) -> None:
        match event:
            case ItemUnchanged(item=item) | TransferCompleted(item=item):
                self._up[item.destination.store] = True
                if item.id in self._entry:
                    self._fresh[item.id] = self._clock.now()
            case TransferFailed() | ItemBlocked() | ItemRetrying() if event.reason in _STORE_FAULTS:
                self._up[event.item.destination.store] = False

    def keep(self, items: Mapping[str, Item]) -> None:
        """Measure the freshness of exactly these items; one that is new counts from now."""
        now = self._clock.now()
        self._entry = {item_id: item.entry for item_id, item in items.items()}
        self._fresh = {item_id: self._fresh.get(item_id, now) for item_id in items}

    def stores(self) -> Mapping[str, bool]:
        """Whether the last call to each store was answered; only stores that were asked."""
        return dict(self._up)

    def staleness(self) -> Mapping[str, float]:
        """Seconds since each entry's longest neglected item was last seen equal to its source."""
        now, oldest = self._clock.now(), dict[str, float]()
        for item_id, entry in self._entry.items():
            oldest[entry] = max(oldest.get(entry, 0.0), now - self._fresh[item_id])
        return oldest
