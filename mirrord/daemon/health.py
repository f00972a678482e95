"""Whether each store answers and how fresh each entry is, from events, and the proxies in use. Metrics and the status
page read it.

Owns one flag for each store and one time for each scheduled item; that of an item of a list takes 16 bytes.
"""

from collections.abc import Callable, Mapping

from mirrord.aio import in_steps
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
from mirrord.model import IdTable, Item, Outcome, State
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.lists.listed_rows import ListedRows
from mirrord.planning.notifications.staleness import can_get_stale
from mirrord.ports import Clock
from mirrord.proxies import UsedProxies
from mirrord.status import BreakerStatus, ProxyStatus

_STORE_FAULTS = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_DENIED})


class Health:
    """`ports.Observer`. Measures the freshness of the items given to `track` only.

    `proxies`: those that requests went through, by what sends them; `store_proxies`: the proxy by its store;
    `calls_at_once`, `breakers`: as of `Status`."""

    def __init__(
        self,
        clock: Clock,
        proxies: Mapping[str, UsedProxies] | None = None,
        store_proxies: Callable[[], Mapping[str, str]] = dict,
        calls_at_once: Callable[[], Mapping[str, int]] = dict,
        breakers: Callable[[], tuple[BreakerStatus, ...]] = tuple,
    ) -> None:
        self._clock = clock
        self._proxies = proxies or {}
        self._store_proxies = store_proxies
        self.calls_at_once = calls_at_once
        self.breakers = breakers
        self._up: dict[str, bool] = {}
        self._entry: dict[str, str] = {}
        self._fresh: dict[str, float] = {}  # item id -> when it was last equal to its source
        self._listed: dict[str, list[tuple[ListedRows, IdTable]]] = {}  # by entry: the same for the items of its list
        self._coming: list[IdTable] = []  # the next ones, while `track` makes them
        self._never_stale: frozenset[str] = frozenset()  # entries

    def __call__(self, event: Event) -> None:
        match event:
            case ItemsUnchanged():  # by an earlier answer
                self._up.setdefault(next(event.items()).destination.store, True)
            case ItemUnchanged(item=item) | TransferCompleted(item=item):
                if not isinstance(event, ItemUnchanged) or event.store_answered:
                    self._up[item.destination.store] = True
                self._note(item)
            case TransferFailed() | ItemBlocked() | ItemRetrying() if event.reason in _STORE_FAULTS:
                self._up[event.item.destination.store] = False

    def ended_elsewhere(self, item: Item, outcome: Outcome) -> None:
        """A worker checked the item now."""
        if outcome.state is State.SYNCED:
            self._note(item)

    def _note(self, item: Item) -> None:
        """The item equals its source now."""
        if item.id in self._entry:
            self._fresh[item.id] = self._clock.now()
        for times in (*(times for _, times in self._listed.get(item.entry, ())), *self._coming):
            if item.id in times:
                times.put(item.id, self._clock.now())

    async def track(self, items: Mapping[str, Item]) -> None:
        """Measure the freshness of exactly these items; a new one counts from now. One call at a time."""
        now, known = self._clock.now(), ItemsInForce.of(items)
        self._entry = {item_id: item.entry for item_id, item in known.mirrors.items()}
        options = {item.entry: item.options for item in known.mirrors.values()}
        options |= {rows.spec.entry: rows.spec.options for rows in known.lists}
        self._never_stale = frozenset(entry for entry, given in options.items() if not can_get_stale(given))
        self._fresh = {item_id: self._fresh.get(item_id, now) for item_id in known.mirrors}
        listed: dict[str, list[tuple[ListedRows, IdTable]]] = {}
        for rows in known.lists:
            times = IdTable("d")
            self._coming.append(times)
            await in_steps(times.follow(rows.ids, self._times_before(rows), now))
            listed.setdefault(rows.spec.entry, []).append((rows, times))
        self._listed, self._coming = listed, []

    def _times_before(self, rows: ListedRows) -> list[IdTable]:
        """The times of the items of the entry, or of the same rows under another name."""
        every = [one for listed in self._listed.values() for one in listed]
        return [times for known, times in every if known.ids is rows.ids or known.spec.entry == rows.spec.entry]

    def stores(self) -> Mapping[str, bool]:
        """Whether the last call to each store was answered; only stores that were called."""
        return dict(self._up)

    def proxies(self) -> tuple[ProxyStatus, ...]:
        """The proxies in use. The network policy is for sources and webhooks, not for stores."""
        found = [
            ProxyStatus(proxy=proxy, used_by=sender, network_policy="by proxy", problem=problem)
            for sender, used in self._proxies.items()
            for proxy, problem in used.problems().items()
        ]
        for store, proxy in sorted(self._store_proxies().items()):
            problem = "" if self._up.get(store, True) else "the last call to the store was not answered"
            found.append(ProxyStatus(proxy=proxy, used_by=f"store {store}", problem=problem))
        return tuple(found)

    def fresh_at(self, item_id: str) -> float | None:
        """When the item was last equal to its source, or tracked for the first time; None: it is not tracked."""
        if (fresh := self._fresh.get(item_id)) is not None:
            return fresh
        every = (times.get(item_id) for listed in self._listed.values() for _, times in listed)
        return next((found[0] for found in every if found is not None), None)

    def staleness(self) -> Mapping[str, float]:
        """By entry: seconds since its stalest item was last equal to its source. Without entries that cannot get
        stale."""
        now, oldest = self._clock.now(), dict[str, float]()
        for item_id, entry in self._entry.items():
            oldest[entry] = max(oldest.get(entry, 0.0), now - self._fresh[item_id])
        for entry, listed in self._listed.items():
            times = [min(shard[1]) for _, table in listed for shard in table.shards() if shard[1]]
            if times:
                oldest[entry] = max(oldest.get(entry, 0.0), now - min(times))
        return {entry: seconds for entry, seconds in oldest.items() if entry not in self._never_stale}
