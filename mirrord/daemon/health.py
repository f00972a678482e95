"""Whether each store answers and how fresh each entry is, from events. Metrics and the status page read it.

Owns one flag for each store and one time for each scheduled item.
"""

from collections.abc import Mapping

from mirrord.errors import Reason
from mirrord.events import (
    Event,
    ItemBlocked,
    ItemRetrying,
    ItemsUnchanged,
    ItemUnchanged,
    TransferCompleted,
    TransferFailed,
)
from mirrord.model import Item
from mirrord.ports import Clock

_STORE_FAULTS = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_DENIED})


class Health:
    """`ports.Observer`. Measures the freshness of the items given to `track` only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._up: dict[str, bool] = {}
        self._entry: dict[str, str] = {}
        self._fresh: dict[str, float] = {}  # item id -> when it was last equal to its source

    def __call__(self, event: Event) -> None:
        match event:
            case ItemsUnchanged():  # by an earlier answer
                self._up.setdefault(next(event.items()).destination.store, True)
            case ItemUnchanged(item=item) | TransferCompleted(item=item):
                if not isinstance(event, ItemUnchanged) or event.store_answered:
                    self._up[item.destination.store] = True
                if item.id in self._entry:
                    self._fresh[item.id] = self._clock.now()
            case TransferFailed() | ItemBlocked() | ItemRetrying() if event.reason in _STORE_FAULTS:
                self._up[event.item.destination.store] = False

    def track(self, items: Mapping[str, Item]) -> None:
        """Measure the freshness of exactly these items; a new one counts from now."""
        now = self._clock.now()
        self._entry = {item_id: item.entry for item_id, item in items.items()}
        self._fresh = {item_id: self._fresh.get(item_id, now) for item_id in items}

    def stores(self) -> Mapping[str, bool]:
        """Whether the last call to each store was answered; only stores that were called."""
        return dict(self._up)

    def fresh_at(self, item_id: str) -> float | None:
        """When the item was last equal to its source, or tracked for the first time; None: it is not tracked."""
        return self._fresh.get(item_id)

    def staleness(self) -> Mapping[str, float]:
        """By entry: seconds since its stalest item was last equal to its source."""
        now, oldest = self._clock.now(), dict[str, float]()
        for item_id, entry in self._entry.items():
            oldest[entry] = max(oldest.get(entry, 0.0), now - self._fresh[item_id])
        return oldest
