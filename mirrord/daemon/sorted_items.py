"""Sorted pages of items as they are now: records, overlaid with what runs and waits.

Owns the merge of both in one order. The journal sorts the records; what is overlaid is in memory, is sorted here, and
replaces its records.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import nlargest, nsmallest
from typing import NamedTuple

from mirrord.daemon.picture import Overlay
from mirrord.model import ItemFilter, ItemOrder, ItemPlace, Record, SortKey, State, mentions
from mirrord.ports import JournalQueries
from mirrord.status import ItemStatus, SortedPage

_MOST_READ = 1_000
"""Most records of one read, while many of them are overlaid."""

StatusOf = Callable[[Record], ItemStatus | None]
"""The item as recorded, with the time of its next check; None if it was removed."""


class _Placed(NamedTuple):
    place: ItemPlace
    status: Callable[[], ItemStatus | None]


async def sorted_items(
    journal: JournalQueries,
    overlay: Overlay,
    recorded: StatusOf,
    order: ItemOrder,
    wanted: ItemFilter,
    after: ItemPlace | None,
    limit: int,
) -> SortedPage:
    """Up to `limit` items behind the place `after`. `overlay` has all running items, and every file that waits in the
    folders that `wanted.entry` selects."""
    records = await journal.recorded(tuple(overlay.running))
    shown = {item_id: recorded(records[item_id]) if item_id in records else None for item_id in overlay.running}
    running = [one for item_id, known in shown.items() if (one := overlay.status(item_id, known)) is not None]
    found: list[_Placed] = []
    for state in _states(order, wanted, after):
        part, most = wanted._replace(state=state), limit + 1 - len(found)
        over = await asyncio.to_thread(_overlaid, overlay, running, order, part, after, most)
        kept = await _records(journal, overlay, recorded, order, part, after, most)
        found += sorted([*over, *kept], key=lambda one: one.place[:2], reverse=order.descending)[:most]
        after = None
        if len(found) > limit:
            break
    items = tuple(status for one in found[:limit] if (status := one.status()) is not None)
    return SortedPage(items, found[limit - 1].place if len(found) > limit else None)


def _states(order: ItemOrder, wanted: ItemFilter, after: ItemPlace | None) -> Sequence[State | None]:
    """The states that are listed one after the other; None: all together."""
    if wanted.state is not None or not order.states:
        return (wanted.state,)
    return order.states if after is None or after.state is None else order.states[order.states.index(after.state) :]


async def _records(
    journal: JournalQueries,
    overlay: Overlay,
    recorded: StatusOf,
    order: ItemOrder,
    wanted: ItemFilter,
    after: ItemPlace | None,
    most: int,
) -> list[_Placed]:
    """The first records that nothing replaces."""
    found: list[_Placed] = []
    replaced, size = overlay.ids(), most
    while len(found) < most:
        page = await journal.sorted_page(order, wanted, after, size)
        found += [_Placed(order.place_of(one), partial(recorded, one)) for one in page if one.item_id not in replaced]
        if len(page) < size:
            break
        after, size = order.place_of(page[-1]), min(2 * size, _MOST_READ)
    return found[:most]


def _overlaid(
    overlay: Overlay,
    running: Sequence[ItemStatus],
    order: ItemOrder,
    wanted: ItemFilter,
    after: ItemPlace | None,
    most: int,
) -> list[_Placed]:
    """The first items of the overlay. There may be 100,000 that wait: their status is made only if it decides."""
    first = nlargest if order.descending else nsmallest
    every = (*_of_running(running, order, wanted), *_of_waiting(overlay, order, wanted))
    return first(most, (one for one in every if order.is_after(one.place, after)), key=lambda one: one.place[:2])


def _of_running(running: Sequence[ItemStatus], order: ItemOrder, wanted: ItemFilter) -> Iterator[_Placed]:
    for one in running:
        if matches(one, wanted):
            yield _shown(one, order)


def _of_waiting(overlay: Overlay, order: ItemOrder, wanted: ItemFilter) -> Iterator[_Placed]:
    for file in overlay.waiting:
        if wanted.state not in (None, file.state):
            continue
        if order.by is SortKey.SINCE and wanted.text is None:
            yield _Placed(ItemPlace(file.since, file.item_id, file.state), file.status)
        elif matches(status := file.status(), wanted):
            yield _shown(status, order)


def _shown(one: ItemStatus, order: ItemOrder) -> _Placed:
    value = order.value(destination=one.destination, since=one.since, copied=one.synced_at, size=one.size)
    return _Placed(ItemPlace(value, one.id, one.state), lambda: one)


def matches(one: ItemStatus, wanted: ItemFilter) -> bool:
    """Whether the filter selects the item as it is shown."""
    if wanted.state not in (None, one.state) or wanted.entry not in (None, one.entry):
        return False
    return wanted.text is None or mentions(wanted.text, one.destination, one.source, one.entry)
